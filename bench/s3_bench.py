#!/usr/bin/env python3
"""Files to and from a real S3 server on this machine, beside pyarrow.fs.copy_files in the same run.

    make bench B=s3                    an object of 1 GB; some minutes
    bench/s3_bench.py --smoke          seconds; shows that it works, measures nothing

Both copy with 16 connections and take turns; the quietest round of each counts. The server takes
most of the processor, so what differs is what the clients add. Ours ends with an fdatasync, so a
second column has the other one with `sync` behind it.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.fs

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/s3"))
from object_client import ObjectClient, s3_options  # noqa: E402
from s3_gateway import BUCKET, Gateway  # noqa: E402

CONNECTIONS = 16


def seconds_of(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Bench:
    def __init__(self, args: argparse.Namespace, work: Path):
        self.work = work
        self.rounds = 1 if args.smoke else 5
        self.gateway = Gateway(work / "buckets")
        self.arrow = self.gateway.arrow()
        self.arrow.create_dir(BUCKET)
        options = s3_options(self.gateway.endpoint, connections_max=CONNECTIONS)
        self.ours = ObjectClient(f"s3://{BUCKET}", work, **options)
        self.results: list[dict] = []

    def measure(self, name: str, bytes_moved: int, work: dict[str, Callable[[], None]]) -> None:
        best: dict[str, float] = {}
        for _ in range(self.rounds):
            for who, run in work.items():
                best[who] = min(best.get(who, 1e9), seconds_of(run))
        rates = {who: round(bytes_moved / took / 1e6, 1) for who, took in best.items()}
        ratio = round(best["ours"] / best["pyarrow"], 3)
        print(f"{name}: MB/s {rates}, ours takes {ratio} x the time of pyarrow")
        self.results.append({"name": name, "mb_per_s": rates, "time_ratio": ratio})

    def files(self, count: int, size: int) -> None:
        """`count` objects of `size` bytes up and down again, compared byte by byte at the end."""
        random.seed(7)
        source, target = self.work / "source", self.work / "target"
        source.mkdir()
        names = [f"o{number}" for number in range(count)]
        for name in names:
            (source / name).write_bytes(random.randbytes(size))

        def upload() -> None:
            for name in names:
                self.ours.do("upload", f"ours/{name}", source / name)

        def upload_by_arrow() -> None:
            self.copy(str(source), pa.fs.LocalFileSystem(), f"{BUCKET}/theirs", self.arrow)

        def download() -> None:
            for name in names:
                self.ours.do("download", f"ours/{name}", target / name)

        def download_by_arrow(sync: bool = False) -> None:
            self.copy(f"{BUCKET}/ours", self.arrow, str(target), pa.fs.LocalFileSystem())
            if sync:
                for name in names:
                    with (target / name).open("rb+") as file:
                        os.fdatasync(file.fileno())

        def fresh(run: Callable[[], None]) -> Callable[[], None]:
            def work() -> None:
                shutil.rmtree(target, ignore_errors=True)
                target.mkdir()
                run()

            return work

        what = f"{count} x {size / 1e6:.0f} MB"
        self.measure(f"up {what}", count * size, {"ours": upload, "pyarrow": upload_by_arrow})
        down = {"pyarrow": fresh(download_by_arrow)}
        down["pyarrow_synced"] = fresh(lambda: download_by_arrow(sync=True))
        down["ours"] = fresh(download)
        self.measure(f"down {what}", count * size, down)
        for name in names:
            if (target / name).read_bytes() != (source / name).read_bytes():
                sys.exit(f"error: {name} is not what was uploaded")
        shutil.rmtree(source)
        shutil.rmtree(target)

    @staticmethod
    def copy(source: str, source_fs, target: str, target_fs) -> None:
        pa.set_io_thread_count(CONNECTIONS)
        pa.fs.copy_files(
            source, target, source_filesystem=source_fs, destination_filesystem=target_fs
        )

    def close(self) -> None:
        self.ours.close()
        self.gateway.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    parser.add_argument("--objects", type=int, default=1, help="ours copies one after the other")
    parser.add_argument("--dir", type=Path, help="where the objects go; a disk, not tmpfs")
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="fletching-s3-bench-", dir=args.dir))
    bench = Bench(args, work)
    try:
        bench.files(args.objects, 12_000_000 if args.smoke else 1_000_000_000 // args.objects)
        print(json.dumps({"bench": "s3", "results": bench.results}))
    finally:
        bench.close()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
