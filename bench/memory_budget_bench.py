#!/usr/bin/env python3
"""Uniform look-ups in a quarter of the memory the data would take, beside RocksDB under the same
cap and beside the best rate of random reads that fio gets from the same disk.

    make bench B=memory_budget             20 M rows, about five minutes; needs root and fio
    bench/memory_budget_bench.py --smoke   seconds; shows that it works, measures nothing

Bars: rows a second >= 70 % of fio's best (4 KiB, O_DIRECT, io_uring, depths 1 to 256), and >= 2 x
RocksDB's. Stores run in a memory cgroup of a quarter of our segments, on files that no page cache
holds; each has what the cap leaves beside its program. All take turns, the best round of each
counts, and every value of a checked pass is compared (bench/rivals/embedded_rivals.cc).
Also: the mapping without a budget, under the same cap.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/e2e"))
from cgroups import kills, memory_cgroup

# Of the cap, for what is no cache: RocksDB keeps filters and index blocks besides, and was killed
# with 64 MiB.
BESIDE_BYTES = {"fletching": 64 << 20, "rocksdb": 160 << 20}
DEPTHS = (1, 4, 16, 64, 128, 256)
STORES = (("fletching", "memory_budget"), ("rocksdb", "direct_reads"), ("fletching", "default"))


def drop_from_page_cache(folder: Path) -> int:
    """-> bytes of the files"""
    total = 0
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        total += path.stat().st_size
    return total


class Bench:
    def __init__(self, args: argparse.Namespace, programs: Path, work: Path) -> None:
        self.args, self.programs, self.work = args, programs, work
        self.rounds = 1 if args.smoke else 2

    def load(self, store: str, setting: str) -> int:
        flags = [f"--store={store}", f"--setting={setting}", f"--rows={self.args.rows}"]
        subprocess.run(
            [self.programs / "embedded_rivals", *flags, f"--dir={self.work}", "--load-only"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return sum(path.stat().st_size for path in self.work.rglob("*.flseg"))

    def fio(self, depth: int) -> float:
        """Random reads of 4 KiB a second."""
        size = "64M" if self.args.smoke else "1500M"
        flags = ["--name=r", f"--filename={self.work / 'fio'}", f"--size={size}", "--rw=randread"]
        flags += ["--bs=4k", "--direct=1", "--ioengine=io_uring", f"--iodepth={depth}"]
        flags += [
            f"--runtime={1 if self.args.smoke else 3}",
            "--time_based",
            "--output-format=json",
        ]
        said = subprocess.run(["fio", *flags], check=True, stdout=subprocess.PIPE).stdout
        return json.loads(said)["jobs"][0]["read"]["iops"]

    def store(self, name: str, setting: str, threads: int, limit_bytes: int) -> float:
        """Rows a second under the cap."""
        drop_from_page_cache(self.work)
        # The mapping alone takes seconds for 1,000 keys: each fault reads ahead.
        reads = (
            20 if self.args.smoke else {"memory_budget": 100, "direct_reads": 15}.get(setting, 1)
        )
        flags = [f"--store={name}", f"--setting={setting}", f"--rows={self.args.rows}"]
        flags += [f"--dir={self.work}", "--reuse", "--keep", "--warm-rows=0"]
        flags += [f"--threads={threads}", f"--reads={reads}", f"--rounds={3 if reads > 1 else 1}"]
        flags += [f"--cache-bytes={max(limit_bytes - BESIDE_BYTES[name], 1 << 20)}"]
        with memory_cgroup(limit_bytes) as cgroup:
            ran = subprocess.run(
                [self.programs / "embedded_rivals", *flags],
                stdout=subprocess.PIPE,
                preexec_fn=lambda: (cgroup / "cgroup.procs").write_text(str(os.getpid())),
            )
            if ran.returncode != 0:
                sys.exit(
                    f"error: {name} {setting} ended with {ran.returncode}, {kills(cgroup)} kills"
                )
        result = json.loads(ran.stdout.splitlines()[-1])
        return result["keys_per_s"] if threads > 1 else 1e6 * result["keys"] / result["p50_us"]

    def run(self) -> list[dict]:
        data_bytes = 0
        for name, setting in STORES[:2]:
            data_bytes = max(data_bytes, self.load(name, setting))
        limit_bytes = data_bytes // 4 + (256 << 20 if self.args.smoke else 0)
        print(f"{data_bytes / 1e6:,.0f} MB of segments under a cap of {limit_bytes / 1e6:,.0f} MB")
        best: dict[str, float] = {}
        for _ in range(self.rounds):
            measured = {"fio": max(self.fio(depth) for depth in DEPTHS)}
            for name, setting in STORES:
                rates = [self.store(name, setting, threads, limit_bytes) for threads in (1, 2)]
                measured[f"{name} {setting}"] = max(rates)
            print(
                "  " + ", ".join(f"{item} {rate / 1e3:,.1f} k/s" for item, rate in measured.items())
            )
            best = {item: max(rate, best.get(item, 0)) for item, rate in measured.items()}
        ours = best["fletching memory_budget"]
        results = []
        for item, bar in (("fio", 0.7), ("rocksdb direct_reads", 2), ("fletching default", None)):
            ratio = ours / best[item]
            verdict = "" if bar is None else f"; bar {bar} {'ok' if ratio >= bar else 'MISSED'}"
            print(f"memory budget: {ours / 1e3:,.1f} k rows/s, {ratio:.2f} x {item}{verdict}")
            results.append({"beside": item, "ratio": ratio, "rows_per_s": ours})
        return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    parser.add_argument("--rows", type=int, help="rows of the table")
    parser.add_argument("--dir", type=Path, help="where the data goes; a disk, not tmpfs")
    args = parser.parse_args()
    args.rows = args.rows or (100_000 if args.smoke else 20_000_000)
    programs = Path(os.environ.get("FLETCHING_BENCH_DIR", "build/release/bench"))
    if not (programs / "embedded_rivals").exists() or not shutil.which("fio"):
        print(
            "memory_budget: needs fio and embedded_rivals; `make bench-rivals SMOKE=1` makes both"
        )
        return
    work = Path(tempfile.mkdtemp(prefix="fletching-memory-budget-bench-", dir=args.dir))
    try:
        print(json.dumps({"bench": "memory_budget", "results": Bench(args, programs, work).run()}))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
