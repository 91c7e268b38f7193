#!/usr/bin/env python3
"""Small requests beside large ones: how long one key takes while others ask for 10,000, write, or
do both; and how many keys a second come out of one server by the number of connections.

    make bench B=fairness                  1 M rows, about two minutes
    bench/fairness_bench.py --smoke        seconds; shows that it works, measures nothing

Bar: p99 of a 1-key read beside clients that ask for 10,000 keys <= 3 x its p99 on an idle server.
Cases take turns in short rounds; the quietest round of each counts, and the spread is shown. Server
and clients share the machine's cores as the scheduler likes. The control is the same small reads
beside programs that only compute: what the cores cost, whoever takes them.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import http_bench
import run_yardsticks as yardsticks

SPIN = "while True: pass"


class Bench:
    def __init__(self, args: argparse.Namespace, programs: Path, work: Path, port: int) -> None:
        self.programs, self.work, self.port = programs, work, port
        self.rounds = 1 if args.smoke else 5
        self.requests = 100 if args.smoke else 3000
        draw = random.Random(1)

        def keys(name: str, count: int, sets: int) -> list[str]:
            bodies = [
                http_bench.json_keys([draw.randrange(args.rows) for _ in range(count)])
                for _ in range(sets)
            ]
            path = http_bench.write_bodies(work / name, bodies)
            return ["--path=/api/v1/table/bench/fetch", f"--bodies-file={path}"]

        self.bodies = {
            count: keys(f"keys{count}", count, sets)
            for count, sets in ((1, 1000), (1000, 200), (10_000, 30))
        }
        rows = [http_bench.arrow_rows(draw.randrange(args.rows - 1000), 1000) for _ in range(50)]
        path = http_bench.write_bodies(work / "rows", rows)
        self.write = [
            "--path=/api/v1/table/bench/write",
            "--method=PUT",
            f"--bodies-file={path}",
            f"--content-type={http_bench.ARROW}",
        ]

    def flags(self, count: int) -> list[str]:
        return [
            f"--port={self.port}",
            "--content-type=application/json",
            f"--accept={http_bench.ARROW}",
            *self.bodies[count],
        ]

    def small(self) -> dict:
        return yardsticks.run(
            self.programs / "http_client", *self.flags(1), f"--requests={self.requests}"
        )

    @contextlib.contextmanager
    def beside(self, *commands: list[str]) -> Iterator[None]:
        """Runs programs until the end, by their process ids."""
        running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
        try:
            yield
            ended = [program.args for program in running if program.poll() is not None]
            assert not ended, f"ended too early: {ended}"
        finally:
            for program in running:
                program.kill()
                program.wait()

    def client(self, *flags: str) -> list[str]:
        return [str(self.programs / "http_client"), *flags, "--requests=100000000"]

    def fairness(self) -> list[dict]:
        large = self.client(*self.flags(10_000))
        write = self.client(f"--port={self.port}", *self.write)
        spin = [sys.executable, "-c", SPIN]
        cases = {
            "idle": [],
            "beside one client of 10,000 keys": [large],
            "beside two of them": [large, large],
            "beside writes of 1,000 rows": [write],
            "control: beside one program that computes": [spin],
            "control: beside two": [spin, spin],
        }
        seen: dict[str, list[dict]] = {name: [] for name in cases}
        for _ in range(self.rounds):
            for name, others in cases.items():
                with self.beside(*others):
                    seen[name].append(self.small())
        results = []
        idle = min(seen["idle"], key=lambda result: result["p99_us"])
        for name, rounds in seen.items():
            best = min(rounds, key=lambda result: result["p99_us"])
            ratio = best["p99_us"] / idle["p99_us"]
            worst = max(result["p99_us"] for result in rounds)
            has_bar = "keys" in name or "them" in name
            verdict = ("; bar 3 " + ("ok" if ratio <= 3 else "MISSED")) if has_bar else ""
            print(
                f"1 key, {name}: p50 {best['p50_us']:.1f} us, p99 {best['p99_us']:.1f} "
                f"({worst:.1f} in the worst round), {ratio:.2f} x idle{verdict}"
            )
            results.append(
                {"item": name, "p50_us": best["p50_us"], "p99_us": best["p99_us"], "ratio": ratio}
            )
        return results

    def throughput(self) -> list[dict]:
        """Keys a second of 1,000-key reads from so many connections at once."""
        results = []
        total = 64 if self.requests == 100 else 8000
        for count in (1, 2, 4, 8, 16):
            requests = f"--requests={total // count}"
            command = [str(self.programs / "http_client"), *self.flags(1000), requests]
            best = 0.0
            for _ in range(self.rounds):
                start = time.perf_counter()
                running = [
                    subprocess.Popen([*command, "--warmup=0"], stdout=subprocess.DEVNULL)
                    for _ in range(count)
                ]
                assert not any(program.wait() for program in running)
                best = max(best, total * 1000 / (time.perf_counter() - start))
            print(f"{count} connections: {best / 1e6:.2f} M keys/s")
            results.append({"item": f"{count} connections", "keys_per_s": best})
        return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    parser.add_argument("--rows", type=int, help="rows of the table")
    parser.add_argument("--dir", type=Path, help="where the data folder goes; a disk, not tmpfs")
    args = parser.parse_args()
    args.rows = args.rows or (20_000 if args.smoke else 1_000_000)
    programs = Path(os.environ.get("FLETCHING_BENCH_DIR", "build/release/bench"))
    if not (programs / "http_client").exists():
        sys.exit(f"error: no benchmark programs in {programs}; run `make bench B=fairness`")
    work = Path(tempfile.mkdtemp(prefix="fletching-fairness-bench-", dir=args.dir))
    try:
        load = [f"--rows={args.rows}", f"--dir={work / 'read'}", "--keep", "--reads=50"]
        yardsticks.run(programs / "engine_read_bench", *load)
        with http_bench.fletchingd(work / "read", None) as port:
            bench = Bench(args, programs, work, port)
            results = bench.fairness() + bench.throughput()
        print(json.dumps({"bench": "fairness", "results": results}))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
