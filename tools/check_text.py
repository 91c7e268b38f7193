#!/usr/bin/env python3
"""Checks every tracked or new text file for what no editor should leave behind.

Sources are ASCII (write \\u escapes in strings), documents may be UTF-8. No tabs except in
Makefiles, no spaces at line ends, one newline at the end, no conflict markers, LF only;
`#pragma once` in every header. tests/corpus and tests/golden hold bytes, not text.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.resolve()
ASCII_SUFFIXES = {".h", ".cc", ".cmake", ".sh", ".json", ".toml", ".yaml", ".yml"}
TEXT_SUFFIXES = ASCII_SUFFIXES | {".py", ".md", ".txt", ".pyi", ".html", ".css", ".js", ".ts", ""}
BYTES_FOLDERS = ("tests/corpus/", "tests/golden/")


def tracked() -> list[str]:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in set(listed.splitlines()) if (ROOT / name).is_file())


def check(name: str, problems: list[str]) -> None:
    path = ROOT / name
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        problems.append(f"{name}: is not UTF-8 at byte {error.start}")
        return
    if text and not text.endswith("\n"):
        problems.append(f"{name}: no newline at the end")
    if text.endswith("\n\n"):
        problems.append(f"{name}: empty lines at the end")
    if path.suffix == ".h" and "#pragma once" not in text:
        problems.append(f"{name}: no #pragma once")
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{name}:{number}"
        if line.endswith((" ", "\t", "\r")):
            problems.append(f"{where}: white space at the end of the line")
        if "\t" in line and path.name != "Makefile":
            problems.append(f"{where}: tab")
        if re.match(r"(<{7}|>{7}|={7})( |$)", line):
            problems.append(f"{where}: conflict marker")
        if path.suffix in ASCII_SUFFIXES and not line.isascii():
            problems.append(f"{where}: not ASCII")


def main() -> int:
    problems: list[str] = []
    names = [
        name
        for name in tracked()
        if not name.startswith(BYTES_FOLDERS) and Path(name).suffix in TEXT_SUFFIXES
    ]
    for name in names:
        check(name, problems)
    for problem in problems:
        print(problem)
    print(f"text: {len(names)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
