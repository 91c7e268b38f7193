#!/usr/bin/env python3
"""A node with memory for a quarter of its data, a disk for half of it, and the truth on S3, beside
one whose disk holds everything: reads of Zipf-distributed keys over HTTP.

    make bench B=tiers                    10 M rows, about six minutes
    bench/tiers_bench.py --smoke          seconds; shows that it works, measures nothing

Bar: p50 <= 1.5 x that of the node with a whole disk, in the same memory.
Both nodes run in a memory cgroup of a quarter of the data; the control is a third one without any
limit. Keys are new in every request (exponent 0.99 over a scrambled order), nodes take turns, every
value of a checked pass is compared. The S3 server is versitygw, which shares the cores.
"""

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import http_bench
import numpy as np
import pull_bench
import run_yardsticks as yardsticks

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/s3"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/e2e"))

PARTS = 16
PROGRAM_BYTES = 56 << 20  # of a server besides its segments: libraries, buffers, threads
KEYS = (1, 10, 100, 1000)


class ZipfKeys:
    """Ranks by the inverse of the distribution's sum, scattered over the rows."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rows = rows
        self.draw = np.random.default_rng(seed)
        self.sums = np.cumsum(np.arange(1, rows + 1, dtype=np.float64) ** -0.99)

    def numbers(self, count: int) -> list[int]:
        ranks = np.searchsorted(self.sums, self.draw.random(count) * self.sums[-1])
        return [int(number) for number in (ranks * 2_654_435_761 + 12_345) % self.rows]


class Node:
    def __init__(self, name: str, server, programs: Path, work: Path) -> None:
        self.name, self.server, self.programs, self.work = name, server, programs, work

    def read(self, numbers: list[list[int]]) -> dict:
        """Requests of these keys, one after the other."""
        bodies = [http_bench.json_keys(keys) for keys in numbers]
        path = http_bench.write_bodies(self.work / "bodies", bodies)
        flags = ["--path=/api/v1/table/bench/fetch", "--content-type=application/json"]
        flags += [f"--accept={http_bench.ARROW}", f"--bodies-file={path}", "--warmup=0"]
        flags += [f"--port={self.server.port}", f"--requests={len(bodies)}"]
        return yardsticks.run(self.programs / "http_client", *flags)

    def check(self, numbers: list[int]) -> None:
        body = {"keys": [http_bench.key_of(n) for n in numbers], "columns": http_bench.COLUMNS}
        answer = self.server.post("/api/v1/table/bench/fetch", body)
        assert answer.status == 200, answer
        for at, name in enumerate(http_bench.COLUMNS):
            expected = [float(np.float32(n) + np.float32(at)) for n in numbers]
            assert answer.json["columns"][name] == expected, f"{self.name}: wrong values"

    def metric(self, name: str) -> float:
        text = self.server.get("/metrics").body.decode()
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith(name) and not line.startswith("#")
        )


class Bench:
    def __init__(self, args: argparse.Namespace, programs: Path, work: Path) -> None:
        self.args, self.programs, self.work = args, programs, work
        self.results: list[dict] = []

    def publish(self, gateway, url: str) -> int:
        """A generation of 16 segments on S3. -> bytes of them"""
        from conftest import Server

        pull_bench.make_files(self.work / "source", self.args.rows)
        source = {"local": {"path": str(self.work / "source")}}
        path = pull_bench.config(self.work / "w.yaml", source)
        text = json.loads(path.read_text())
        text["tables"]["bench"]["parts"] = PARTS
        path.write_text(json.dumps(text))
        writer = Server(
            self.work / "writer", "--config", str(path), "--remote", url, env=gateway.env
        )
        while writer.get("/readyz").status != 200:  # the first generation was read
            time.sleep(0.1)
        while Node("writer", writer, self.programs, self.work).metric("fletching_upload_lag") > 0:
            time.sleep(0.1)
        time.sleep(3)
        writer.stop()
        size = sum(path.stat().st_size for path in (self.work / "writer").rglob("*.flseg"))
        shutil.rmtree(self.work / "writer")
        shutil.rmtree(self.work / "source")
        return size

    def nodes(self, stack: contextlib.ExitStack, gateway, url: str, size: int) -> list[Node]:
        from cgroups import memory_cgroup
        from conftest import Server

        limit = size // 4 + (256 << 20 if self.args.smoke else 0)
        budget = f"{limit - PROGRAM_BYTES}B"
        common = ["--remote", url, "--remote-role", "replica"]
        made = []
        for name, flags, is_capped in (
            ("no limits", [], False),
            ("whole disk", ["--memory-budget", budget], True),
            ("half a disk", ["--memory-budget", budget, "--remote-cache", f"{size // 2}B"], True),
        ):
            cgroup = stack.enter_context(memory_cgroup(limit)) if is_capped else None
            folder = self.work / name.replace(" ", "-")
            server = Server(folder, *common, *flags, env=gateway.env, cgroup=cgroup)
            stack.callback(server.stop)
            made.append(Node(name, server, self.programs, self.work))
            while server.get("/api/v1/table/bench").status != 200:
                time.sleep(0.1)
            time.sleep(5)  # what fits comes whole
        return made

    def compare(self, nodes: list[Node]) -> None:
        keys = ZipfKeys(self.args.rows, 1)
        rounds, requests, warm = (1, 20, 2) if self.args.smoke else (5, 300, 1000)
        for node in nodes:
            node.read([keys.numbers(1000) for _ in range(warm)])
            node.check(keys.numbers(2000))
        for count in KEYS:
            seen: dict[str, list[dict]] = {node.name: [] for node in nodes}
            fetched = nodes[2].metric("fletching_cache_misses_total")
            for _ in range(rounds):
                for node in nodes:
                    seen[node.name].append(
                        node.read([keys.numbers(count) for _ in range(requests)])
                    )
            fetched = nodes[2].metric("fletching_cache_misses_total") - fetched
            best = {name: min(r["p50_us"] for r in result) for name, result in seen.items()}
            p99 = {name: min(r["p99_us"] for r in result) for name, result in seen.items()}
            ratio = best["half a disk"] / best["whole disk"]
            text = ", ".join(f"{name} {best[name]:.0f} us (p99 {p99[name]:.0f})" for name in best)
            print(
                f"{count} keys: {text}; half of a whole disk's {ratio:.2f} x; bar 1.5 "
                f"{'ok' if ratio <= 1.5 else 'MISSED'}; {fetched:.0f} look-ups of segments asked S3"
            )
            self.results.append({"keys": count, "ratio": ratio, "p50_us": best, "p99_us": p99})
        for node in nodes:
            node.check(keys.numbers(2000))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    parser.add_argument("--rows", type=int, help="rows of the table")
    parser.add_argument("--dir", type=Path, help="where the data goes; a disk, not tmpfs")
    args = parser.parse_args()
    args.rows = args.rows or (200_000 if args.smoke else 10_000_000)
    programs = Path(os.environ.get("FLETCHING_BENCH_DIR", "build/release/bench"))
    if not (programs / "http_client").exists():
        sys.exit(f"error: no benchmark programs in {programs}; run `make bench B=tiers`")
    from s3_gateway import BUCKET, Gateway

    work = Path(tempfile.mkdtemp(prefix="fletching-tiers-bench-", dir=args.dir))
    gateway = Gateway(work / "s3")
    try:
        gateway.arrow().create_dir(BUCKET)
        bench = Bench(args, programs, work)
        url = f"s3://{BUCKET}/truth"
        size = bench.publish(gateway, url)
        print(f"({size / 1e6:,.0f} MB in {PARTS} segments)")
        with contextlib.ExitStack() as stack:
            bench.compare(bench.nodes(stack, gateway, url, size))
        print(json.dumps({"bench": "tiers", "results": bench.results}))
    finally:
        gateway.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
