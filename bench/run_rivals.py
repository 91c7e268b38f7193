#!/usr/bin/env python3
"""Fletching beside what a user would pick instead, in turns on the same data, every answer checked.

    make bench-rivals                      10 M rows, 30 minutes at most; writes docs/performance.md
    make bench-rivals ONLY=redis_blobs     one rival; several with commas; parts of names do
    make bench-rivals SMOKE=1              a minute; shows that all of it works, measures nothing
    bench/run_rivals.py --list             the rivals, their settings, and why one cannot run here

How it goes. Each rival is started in a folder of its own, loaded with the very rows that Fletching
has, and asked the very keys. First its settings are tried on a tenth of the rows; the fastest, over
all clocks beside ours, counts from then on. Then come the base case (1,000 random keys, 10 columns)
and one axis at a time: number of keys, Zipf, missing keys, other shapes of table, int64 keys.

Turns. Ours and theirs alternate in rounds of slices; the p50 of the quietest round is shown, and
the ratio of each round as median and range. Servers have one core and their client another.

Clocks. raw: time to last byte of prepared requests on a bare socket (wire_client). numpy, pandas:
a list of keys in, a matrix or a DataFrame out. embedded: C++ calls, by embedded_rivals if built.

An answer that the formula of the data contradicts ends the measurement of whoever gave it, and the
run with a status other than 0.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import warnings
from pathlib import Path

from rivals import report, wire
from rivals.all import chosen, is_embedded_wanted, list_rivals
from rivals.bars import all_bars
from rivals.cost import PRICE_DISK, PRICE_MEMORY, PRICE_S3
from rivals.embedded import measure_embedded
from rivals.findings import Findings
from rivals.plots import draw

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_ROWS = 10_000_000


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", default="", help="rivals by (parts of) their names, with commas")
    add("--rows", type=int, help=f"rows of the base case; {DEFAULT_ROWS:,} if not said")
    add("--cases", default="", help="stages besides the settings: base, 'int64', 'mixed', ...")
    add("--smoke", action="store_true", help="tiny sizes, one round")
    add("--rounds", type=int, default=5, help="turns that each takes in a case")
    add("--budget-s", type=float, default=1800, help="seconds; slices get shorter to stay within")
    add("--seed", type=int, default=1, help="seed of the keys")
    add("--dir", type=Path, help="where data folders go; a disk, not tmpfs")
    add("--list", action="store_true", help="say what could run here, and end")
    add("--debug", action="store_true", help="tracebacks of rivals that fail")
    add("--write-docs", action="store_true", help="write table and plots into docs/")
    add("--json", type=Path, default=ROOT / "build/bench/rivals.json", help="results go here")
    add("--price-memory", type=float, default=PRICE_MEMORY, help="USD per GB and month")
    add("--price-disk", type=float, default=PRICE_DISK, help="the same of disk")
    add("--price-s3", type=float, default=PRICE_S3, help="the same of S3")
    add("--open-loop", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    args.rows = args.rows or (20_000 if args.smoke else DEFAULT_ROWS)
    return args


def finish(args: argparse.Namespace, findings: Findings) -> int:
    """Writes what was found, prints the verdicts. -> the status of the run."""
    report.write_json(findings, args.json)
    command = f"make bench-rivals{f' ROWS={args.rows}' if args.rows != DEFAULT_ROWS else ''}"
    text = report.markdown(findings, args, command)
    print(text)
    folder = ROOT / "docs/plots" if args.write_docs else args.json.parent / "plots"
    for bar in all_bars(findings):
        print(bar)
    if findings.failures:
        for failure in findings.failures:
            print(f"FAILED: {failure}", file=sys.stderr)
        print("error: not every run counts, so docs/ was left as it is", file=sys.stderr)
        return 1
    try:
        draw(findings, args, folder)
    except ImportError as error:
        print(f"note: no plots: {error}", file=sys.stderr)
    if args.write_docs:
        report.write_page(text)
    print(f"results: {args.json}")
    return 0


def main() -> int:
    args = parse_arguments()
    if args.list:
        list_rivals()
        return 0
    try:
        from rivals.run import Run
    except ImportError as error:
        sys.exit(f"error: {error}; run `make bench-rivals`, which builds and finds the package")
    daemon = Path(os.environ.get("FLETCHINGD", ROOT / "build/release/bin/fletchingd"))
    for needed in (daemon, wire.program("wire_client")):
        if not needed.exists():
            sys.exit(f"error: no {needed}; run `make bench-rivals`, which builds it")
    # A polite end also when somebody ends us: servers go with their `with`.
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, lambda number, _: sys.exit(128 + number))
    warnings.filterwarnings("ignore", message="lance is not fork-safe")  # we exec, and no more
    work = Path(tempfile.mkdtemp(prefix="fletching-rivals-", dir=args.dir))
    os.chmod(work, 0o711)  # a server that runs as another user has its folder inside
    run = Run(args, work, daemon)
    try:
        rivals = chosen(args.only, run.findings)
        run.all(rivals)
        if is_embedded_wanted(args.only):
            measure_embedded(run)
    finally:
        run.close()
        shutil.rmtree(work, ignore_errors=True)
    return finish(args, run.findings)


if __name__ == "__main__":
    sys.exit(main())
