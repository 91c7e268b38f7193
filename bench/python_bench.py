#!/usr/bin/env python3
"""What Python adds, beside the floors of the same run: reads into NumPy and pandas, embedded and
remote, and the write of a DataFrame.

    make bench B=python                    10 M rows and a 1 GB DataFrame, about three minutes
    bench/python_bench.py --smoke          seconds; shows that it works, measures nothing

Bars, of 1,000 random keys given as a list of str, 10 float32 columns:
    read to a matrix  <= 2.5 x bare loop;                p99 <= 3 x p50
    read to pandas    <= 1.3 x (C++ read + DataFrame over one matrix)
    remote to NumPy   <= 1.3 x the raw time to last byte (http_client, both cores asleep)
    DataFrame write   >= 70 % of the rows a second that C++ loads
What is compared takes turns in short rounds; the quietest round of each counts.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import fletching
import http_bench
import numpy as np
import pandas as pd
import run_yardsticks as yardsticks

COLUMNS = http_bench.COLUMNS


def timed(call: Callable[[int], object], count: int) -> dict[str, float]:
    """p50 and p99 of one call after another, in microseconds."""
    taken = []
    for number in range(count):
        start = time.perf_counter_ns()
        call(number)
        taken.append((time.perf_counter_ns() - start) / 1000)
    taken.sort()
    return {"p50_us": statistics.median(taken), "p99_us": taken[int(count * 0.99)]}


def quietest(rounds: list[dict[str, float]]) -> dict[str, float]:
    return min(rounds, key=lambda result: result["p50_us"])


class Bench:
    def __init__(self, args: argparse.Namespace, programs: Path, work: Path) -> None:
        self.args, self.programs, self.work = args, programs, work
        self.cpus = sorted(os.sched_getaffinity(0))
        self.rounds = 1 if args.smoke else 5
        self.count = 20 if args.smoke else 500
        self.results: list[dict[str, object]] = []
        draw = random.Random(1)
        self.sets = [[draw.randrange(args.rows) for _ in range(1000)] for _ in range(200)]
        self.keys = [[http_bench.key_of(number) for number in numbers] for numbers in self.sets]

    def run(self, program: str, *flags: str) -> dict:
        return yardsticks.run(self.programs / program, *flags)

    def report(self, item: str, measured: float, floor: float, bar: float, unit: str) -> None:
        ratio = measured / floor
        at_least = bar < 1
        verdict = "ok" if (ratio >= bar if at_least else ratio <= bar) else "MISSED"
        print(
            f"{item}: {measured:,.1f} {unit}, {ratio:.2f} x {floor:,.1f}; bar "
            f"{'>=' if at_least else '<='} {bar} {verdict}"
        )
        self.results.append({"item": item, "value": measured, "floor": floor, "ratio": ratio})

    def engine(self, keep: bool = False) -> dict:
        flags = [f"--rows={self.args.rows}", f"--dir={self.work / 'read'}"]
        flags += ["--keep"] if keep else []
        flags.append("--reads=50" if self.args.smoke else "--reads=1000")
        return self.run("engine_read_bench", *flags)

    def load(self, rows: int) -> float:
        """Rows a second that C++ loads, of as many rows as the frame has."""
        flags = [f"--rows={rows}", f"--dir={self.work / 'load'}", "--reads=50"]
        return self.run("engine_read_bench", *flags)["load_rows_per_second"]

    def warm(self, db: fletching.Database) -> None:
        """Every page of the table touched and every block verified, as in engine_read_bench."""
        step = 100_000
        for begin in range(0, self.args.rows, step):
            keys = [http_bench.key_of(n) for n in range(begin, min(begin + step, self.args.rows))]
            db.read_matrix("bench", keys, COLUMNS)

    def embedded(self) -> None:
        floors = [self.engine(keep=True)]
        matrix = np.empty((1000, 10), np.float32)
        matrices, frames, builds = [], [], []
        with fletching.open(self.work / "read", "r") as db:
            self.warm(db)
            for _ in range(self.rounds):
                matrices.append(
                    timed(
                        lambda n: db.read_matrix("bench", self.keys[n % 200], COLUMNS), self.count
                    )
                )
                frames.append(
                    timed(
                        lambda n: db.read("bench", self.keys[n % 200], COLUMNS).to_pandas(),
                        self.count,
                    )
                )
                builds.append(timed(lambda n: pd.DataFrame(matrix, columns=COLUMNS), self.count))
                reads = "--reads=50" if self.args.smoke else "--reads=1000"
                bare = self.run("bare_loop", f"--rows={self.args.rows}", reads)
                floors.append({"bare_p50_us": bare["p50_us"]})
        bare_us = min(floor["bare_p50_us"] for floor in floors)
        # The engine's own time comes with a bare loop beside it; both get the quietest machine.
        engine_us = floors[0]["engine_p50_us"] * bare_us / floors[0]["bare_p50_us"]
        best = quietest(matrices)
        self.report("read to a matrix", best["p50_us"], bare_us, 2.5, "us")
        self.report("its p99 beside its p50", best["p99_us"], best["p50_us"], 3, "us")
        floor = engine_us + quietest(builds)["p50_us"]
        self.report("read to pandas", quietest(frames)["p50_us"], floor, 1.3, "us")

    def remote(self) -> None:
        bodies = [http_bench.arrow_keys(numbers) for numbers in self.sets]
        path = http_bench.write_bodies(self.work / "bodies", bodies)
        flags = ["--path=/api/v1/table/bench/fetch", f"--content-type={http_bench.ARROW}"]
        flags += [f"--accept={http_bench.ARROW}", f"--bodies-file={path}"]
        flags += [f"--requests={self.count}", *yardsticks.client_flags("asleep", self.cpus)]
        server_cpus = {self.cpus[0]} if len(self.cpus) > 1 else None
        raw, ours = [], []
        with http_bench.fletchingd(self.work / "read", server_cpus) as port:
            if server_cpus:
                os.sched_setaffinity(0, {self.cpus[1]})
            client = fletching.connect(f"127.0.0.1:{port}")
            for _ in range(self.rounds):
                raw.append(self.run("http_client", f"--port={port}", *flags))
                ours.append(
                    timed(
                        lambda n: client.read("bench", self.keys[n % 200], COLUMNS).to_numpy(),
                        self.count,
                    )
                )
            os.sched_setaffinity(0, set(self.cpus))
        floor = quietest(raw)["p50_us"]
        self.report("remote read to NumPy", quietest(ours)["p50_us"], floor, 1.3, "us")

    def write(self) -> None:
        count = 20_000 if self.args.smoke else 1_000_000_000 // 54
        frame = pd.DataFrame({"id": [http_bench.key_of(n) for n in range(count)]})
        for number, name in enumerate(COLUMNS):
            frame[name] = np.arange(count, dtype=np.float32) + number
        written, loaded = [], []
        for number in range(1 if self.args.smoke else 4):
            loaded.append(self.load(count))
            folder = self.work / f"write{number}"
            with fletching.open(folder, "w") as db:
                db.create_table("t", {"id": "utf8", **dict.fromkeys(COLUMNS, "float32")}, key="id")
                start = time.perf_counter()
                db.write("t", frame)
                written.append(count / (time.perf_counter() - start))
            shutil.rmtree(folder)
        size = "1 GB DataFrame write" if not self.args.smoke else "small DataFrame write"
        self.report(size, max(written), max(loaded), 0.7, "rows/s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    parser.add_argument("--rows", type=int, help="rows of the table that is read")
    parser.add_argument("--dir", type=Path, help="where the data folders go; a disk, not tmpfs")
    parser.add_argument("--only", choices=("embedded", "remote", "write"))
    args = parser.parse_args()
    args.rows = args.rows or (20_000 if args.smoke else 10_000_000)
    programs = Path(os.environ.get("FLETCHING_BENCH_DIR", "build/release/bench"))
    if not (programs / "http_client").exists():
        sys.exit(f"error: no benchmark programs in {programs}; run `make bench B=python`")
    work = Path(tempfile.mkdtemp(prefix="fletching-python-bench-", dir=args.dir))
    try:
        bench = Bench(args, programs, work)
        if args.only in (None, "embedded"):
            bench.embedded()
        if args.only in (None, "remote"):
            if args.only:
                bench.engine(keep=True)
            bench.remote()
        if args.only in (None, "write"):
            bench.write()
        print(json.dumps({"bench": "python", "results": bench.results}))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
