"""The command `fletching`. So far: check a data folder, run the server."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import fletching


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fletching", description=__doc__.partition(". ")[0] + ".")
    parser.add_argument("--version", action="version", version=f"fletching {fletching.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    verify = commands.add_parser("verify", help="check every checksum of every file in a folder")
    verify.add_argument("path", help="the data folder")
    commands.add_parser("serve", help="run fletchingd; what follows goes to it", add_help=False)
    known, rest = parser.parse_known_args(arguments)
    if known.command == "serve":
        return serve(rest)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return _verify(known.path)


def serve(arguments: Sequence[str] | None = None) -> int:
    """Becomes fletchingd."""
    program = find_server()
    if program is None:
        print("fletching: fletchingd is not here; build it or set FLETCHINGD", file=sys.stderr)
        return 1
    rest = sys.argv[1:] if arguments is None else arguments
    return os.execv(program, [program, *rest])


def find_server() -> str | None:
    """The server that FLETCHINGD names, the one inside this package, or one on the PATH."""
    package = Path(fletching.__file__).parent
    bundled = package / "bin" / "fletchingd"
    return os.environ.get("FLETCHINGD") or (
        str(bundled) if bundled.exists() else shutil.which("fletchingd")
    )


def _verify(path: str) -> int:
    try:
        report = fletching.verify(path)
    except fletching.FletchingError as error:
        print(f"fletching: {error}", file=sys.stderr)
        return 2
    for line in report.damage:
        print(f"damaged: {line}")
    for line in report.orphans:
        print(f"orphan:  {line}  (harmless; removed when a writer opens the folder)")
    mebibytes = report.checked_bytes / 2**20
    verdict = f"{len(report.damage)} damaged" if report.damage else "all as written"
    print(f"{report.file_count} files, {mebibytes:.1f} MiB checked: {verdict}")
    return 1 if report.damage else 0
