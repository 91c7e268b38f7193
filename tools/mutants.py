#!/usr/bin/env python3
"""Plants one fault at a time in a copy of the sources; each must make a test fail.

The faults stand in tools/mutants.toml:

    [[mutant]]
    name = "log-fsync-dropped"          # what is wrong, in a few words
    file = "src/table/log.cc"
    find = "RETURN_NOT_OK(file_->Sync());"   # occurs exactly once in the file
    replace = ""
    tests = ["table"]                   # rooms whose test program must notice, cheapest first
    filter = "Log.*:Damage.*"           # optional: only these of their tests, as --gtest_filter
    pytest = "tests/crash"              # instead of tests: needs fletchingd and the module

A fault that survives, or whose text is no longer found, fails the run. The copy and its build
are in build/mutants/, so the tree you work in is never touched.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.resolve()
HOME = ROOT / "build" / "mutants"
TREE = HOME / "tree"
BUILD = HOME / "build"
COPIED = ("CMakeLists.txt", "CMakePresets.json", "cmake", "include", "src", "python", "tests",
          "tools", "bench", "docs", "demo", "pyproject.toml", "requirements-build.txt")  # fmt: skip
LOG = HOME / "last.log"


def run(command: list[str], timeout_s: int = 900, **env: str) -> bool:
    """Whether the command succeeds; its output goes to LOG. A hang counts as a failure."""
    with LOG.open("wb") as log:
        try:
            done = subprocess.run(
                command, cwd=TREE, stdout=log, stderr=log, timeout=timeout_s, env=os.environ | env
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


def source_files() -> dict[str, Path]:
    """Every file the build and the tests need, by its path from the root."""
    found: dict[str, Path] = {}
    for name in COPIED:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix != ".so" and "__pycache__" not in path.parts:
                found[path.relative_to(ROOT).as_posix()] = path
    return found


def copy_tree() -> None:
    """Brings the copy up to date. Only what differs is written, and with a new time: ninja then
    compiles just that, also where the last run left a fault behind."""
    sources = source_files()
    for name, source in sources.items():
        target = TREE / name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for path in sorted(TREE.rglob("*")):
        if path.is_file() and path.relative_to(TREE).as_posix() not in sources:
            path.unlink()
    venv = TREE / ".venv"
    if not venv.is_symlink():
        venv.symlink_to(ROOT / ".venv")


def build(targets: list[str], jobs: int) -> bool:
    return run(["cmake", "--build", str(BUILD), f"-j{jobs}", "--target", *targets])


def caught_by(mutant: dict, jobs: int) -> str | None:
    """The test that notices the fault planted in the tree, or None."""
    if "pytest" in mutant:
        if not build(["fletchingd", "_native"], jobs):
            return "the compiler"
        python = [str(ROOT / ".venv/bin/python"), "-m", "pytest", "-q", "-x", mutant["pytest"]]
        env = {"FLETCHINGD": str(BUILD / "bin/fletchingd"), "PYTHONPATH": str(BUILD / "python")}
        return None if run(python, **env) else mutant["pytest"]
    for room in mutant["tests"]:
        program = f"fletching_{room.replace('/', '_')}_test"
        if not build([program], jobs):
            return "the compiler"
        command = [str(BUILD / "bin" / program), "--gtest_brief=1", "--gtest_fail_fast"]
        if not run([*command, f"--gtest_filter={mutant.get('filter', '*')}"]):
            failed = re.search(r"\[  FAILED  \] ([\w./]+)", LOG.read_text(errors="replace"))
            return failed[1] if failed else room
    return None


def try_mutant(mutant: dict, jobs: int) -> str:
    """Plants the fault, runs the tests, takes it out again. Returns the verdict."""
    path = TREE / mutant["file"]
    original = path.read_text() if path.exists() else ""
    if original.count(mutant["find"]) != 1:
        return (
            f"STALE     its text occurs {original.count(mutant['find'])} times in {mutant['file']}"
        )
    path.write_text(original.replace(mutant["find"], mutant["replace"]))
    try:
        test = caught_by(mutant, jobs)
    finally:
        path.write_text(original)
    if test == "the compiler":
        return f"BROKEN    does not compile; see {LOG.relative_to(ROOT)}"
    return f"caught    by {test}" if test else "SURVIVED"


def passes_untouched(mutants: list[dict], jobs: int) -> bool:
    """A test that fails anyway would catch everything, so each runs once without a fault."""
    filters: dict[str, set[str]] = {}
    for mutant in mutants:
        for room in mutant.get("tests", []):
            filters.setdefault(room, set()).add(mutant.get("filter", "*"))
    tests = [{"tests": [room], "filter": ":".join(sorted(some))} for room, some in filters.items()]
    suites = sorted({m["pytest"] for m in mutants if "pytest" in m})
    for test in tests + [{"pytest": suite} for suite in suites]:
        if caught_by(test, jobs) is not None:
            lines = LOG.read_text().splitlines()
            print("\n".join(line for line in lines if line and "Skipped" not in line)[-4000:])
            print(f"mutants: {test} fails without any fault")
            return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only faults whose name contains one of these")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    mutants = tomllib.loads((ROOT / "tools" / "mutants.toml").read_text())["mutant"]
    if options.names:
        mutants = [m for m in mutants if any(name in m["name"] for name in options.names)]
    copy_tree()
    if not run(["cmake", "--preset", "dev", "-B", str(BUILD)]):
        print(LOG.read_text())
        return 2
    if not passes_untouched(mutants, options.jobs):
        return 2
    failed = 0
    for number, mutant in enumerate(mutants, 1):
        started = time.monotonic()
        verdict = try_mutant(mutant, options.jobs)
        failed += not verdict.startswith("caught")
        seconds = time.monotonic() - started
        print(
            f"{number:>3}/{len(mutants)} {mutant['name']:<46} {verdict} ({seconds:.0f} s)",
            flush=True,
        )
    print(f"mutants: {len(mutants) - failed} of {len(mutants)} caught")
    return 1 if failed or not mutants else 0


if __name__ == "__main__":
    sys.exit(main())
