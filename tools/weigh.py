#!/usr/bin/env python3
"""Preprocesses every source of a build folder and prints the ten heaviest.

Weight is non-blank lines after the preprocessor, which is what the compiler has to read. The
result is kept in the build folder, and the next run prints what changed since.
"""

import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BUDGET = 80_000  # a source outside the heavy addresses should stay under this


def weigh(entry: dict) -> tuple[str, int]:
    words = shlex.split(entry["command"])
    while not words[0].endswith(("++", "++-16", "c++", "gcc", "cc")):
        words.pop(0)  # ccache and its settings
    out = words.index("-o")
    del words[out : out + 2]
    words = [word for word in words if word != "-c"] + ["-E", "-P", "-w"]
    done = subprocess.run(words, cwd=entry["directory"], capture_output=True)
    return entry["file"], sum(1 for line in done.stdout.splitlines() if line.strip())


def main() -> int:
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build/dev")
    root = os.getcwd() + "/"
    entries = json.loads((build / "compile_commands.json").read_text())
    entries = [
        entry for entry in entries if entry["file"].startswith((root + "src/", root + "python/"))
    ]
    memory = build / "weights.json"
    before = json.loads(memory.read_text()) if memory.exists() else {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        weights = {file.removeprefix(root): lines for file, lines in pool.map(weigh, entries)}
    for file, lines in sorted(weights.items(), key=lambda item: -item[1])[:10]:
        change = f"{lines - before[file]:+,}" if file in before else "new"
        print(f"{lines:>9,}  {change:>8}  {'over ' if lines > BUDGET else '     '}{file}")
    print(f"{sum(weights.values()):>9,}  lines in {len(weights)} sources; budget {BUDGET:,} each")
    memory.write_text(json.dumps(weights, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
