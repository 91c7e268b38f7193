#!/usr/bin/env python3
"""Loads from Parquet, and a replica's first answer, beside the floors of the same run.

    make bench B=pull                    10 M rows, about three minutes
    bench/pull_bench.py --smoke          seconds; shows that it works, measures nothing

Bars, 10 M rows x (utf8 key + 10 float32):
    from local Parquet   >= 1 M rows/s per core
    from S3              >= 80 % of the rate from local Parquet
    a replica's first correct answer <= 1.5 x pyarrow.fs.copy_files of the same objects, 16 threads
    with remote.lazy     <= 2 s
The S3 server is versitygw on the loopback; it shares the cores with what is measured.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import http_bench
import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/s3"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests/e2e"))
os.environ.setdefault("FLETCHINGD", "build/release/bin/fletchingd")

COLUMNS = http_bench.COLUMNS
FILES = 8


def make_files(folder: Path, rows: int) -> int:
    """A date folder of Parquet files. -> bytes"""
    date = folder / "2026-11-21"
    date.mkdir(parents=True)
    step = -(-rows // FILES)
    for number in range(FILES):
        first = number * step
        count = min(step, rows - first)
        keys = pa.array([http_bench.key_of(first + n) for n in range(count)])
        values = np.arange(first, first + count, dtype=np.float32)
        columns = [pa.array(values + at) for at in range(len(COLUMNS))]
        table = pa.table([keys, *columns], names=["id", *COLUMNS])
        pq.write_table(table, date / f"part-{number}.parquet", row_group_size=1 << 20)
    (date / "_SUCCESS").touch()
    return sum(path.stat().st_size for path in date.iterdir())


def config(path: Path, source: dict) -> Path:
    columns = {"id": {"dtype": "utf8"}} | {name: {"dtype": "float32"} for name in COLUMNS}
    table = {"source": source, "poll_interval": "1h", "key": ["id"], "columns": columns}
    path.write_text(json.dumps({"tables": {"bench": table}}))
    return path


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, args: argparse.Namespace, work: Path) -> None:
        self.args, self.work = args, work
        self.results: list[dict] = []

    def report(self, item: str, value: float, floor: float, bar: float, unit: str) -> None:
        ratio = value / floor
        at_most = unit == "s"
        verdict = "ok" if (ratio <= bar if at_most else ratio >= bar) else "MISSED"
        print(
            f"{item}: {value:,.2f} {unit}, {ratio:.2f} x {floor:,.2f}; bar "
            f"{'<=' if at_most else '>='} {bar} {verdict}"
        )
        self.results.append({"item": item, "value": value, "floor": floor, "ratio": ratio})

    def load(self, name: str, source: dict, env: dict[str, str]) -> tuple[float, float]:
        """-> rows a second, rows a second of its CPU time."""
        from conftest import Server

        path = config(self.work / f"{name}.yaml", source)
        server = Server(self.work / name, "--config", str(path), env=env)
        try:
            while True:
                events = [json.loads(line) for line in server.log_path.read_text().splitlines()]
                loaded = [event for event in events if event["event"] == "table_loaded"]
                if any(event["event"] == "table_load_failed" for event in events):
                    sys.exit(f"error: {events[-1]}")
                if loaded:
                    break
                time.sleep(0.05)
            rows = loaded[0]["rows"]
            return rows / (loaded[0]["millis"] / 1000), rows / cpu_seconds(server.process.pid)
        finally:
            server.stop()
            shutil.rmtree(self.work / name)

    def pull(self, gateway, bucket: str) -> None:
        make_files(self.work / "source", self.args.rows)
        local, per_core = self.load("local", {"local": {"path": str(self.work / "source")}}, {})
        self.report("pull from local Parquet, rows/s per core", per_core, 1e6, 1, "rows/s")
        pa.fs.copy_files(
            str(self.work / "source"), f"{bucket}/source", destination_filesystem=gateway.arrow()
        )
        source = {"s3": {"bucket": bucket, "prefix": "source", "endpoint": gateway.endpoint}}
        remote, _ = self.load("remote", source, gateway.env)
        self.report("pull from S3, rows/s", remote, local, 0.8, "rows/s")

    def replica(self, gateway, bucket: str) -> None:
        from conftest import Server

        flags = ["--remote", f"s3://{bucket}/truth"]
        path = config(self.work / "w.yaml", {"local": {"path": str(self.work / "source")}})
        writer = Server(self.work / "writer", *flags, "--config", str(path), env=gateway.env)
        while not any("root" in info.path for info in self.objects(gateway, bucket)) or not any(
            info.path.endswith(".flseg") for info in self.objects(gateway, bucket)
        ):
            time.sleep(0.2)
        time.sleep(2)
        writer.stop()
        start = time.monotonic()
        pa.set_io_thread_count(16)
        pa.fs.copy_files(
            f"{bucket}/truth", str(self.work / "copy"), source_filesystem=gateway.arrow()
        )
        floor = time.monotonic() - start
        size = sum(p.stat().st_size for p in (self.work / "copy").rglob("*") if p.is_file())
        print(f"({size / 1e6:,.0f} MB of segments)")
        first = self.first_answer("replica", flags, gateway.env)
        self.report("a replica's first answer", first, floor, 1.5, "s")
        lazy = self.first_answer("lazy", [*flags, "--remote-lazy", "true"], gateway.env)
        self.report("a lazy replica's first answer", lazy, 1, 2, "s")

    def first_answer(self, name: str, flags: list[str], env: dict[str, str]) -> float:
        """-> seconds from the start of a replica with an empty disk"""
        from conftest import Server

        start = time.monotonic()
        replica = Server(self.work / name, *flags, "--remote-role", "replica", env=env)
        body = {"keys": [http_bench.key_of(self.args.rows - 1)], "columns": ["f0"]}
        while True:
            answer = replica.post("/api/v1/table/bench/fetch", body)
            if answer.status == 200 and answer.json["columns"]["f0"] != [None]:
                break
            time.sleep(0.02)
        seconds = time.monotonic() - start
        replica.stop()
        shutil.rmtree(self.work / name)
        return seconds

    def objects(self, gateway, bucket: str) -> list:
        selector = pa.fs.FileSelector(f"{bucket}/truth", recursive=True, allow_not_found=True)
        return gateway.arrow().get_file_info(selector)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    parser.add_argument("--rows", type=int, help="rows of the table")
    parser.add_argument("--dir", type=Path, help="where the data goes; a disk, not tmpfs")
    args = parser.parse_args()
    args.rows = args.rows or (20_000 if args.smoke else 10_000_000)
    from s3_gateway import BUCKET, Gateway

    work = Path(tempfile.mkdtemp(prefix="fletching-pull-bench-", dir=args.dir))
    gateway = Gateway(work / "s3")
    try:
        gateway.arrow().create_dir(BUCKET)
        bench = Bench(args, work)
        bench.pull(gateway, BUCKET)
        bench.replica(gateway, BUCKET)
        print(json.dumps({"bench": "pull", "results": bench.results}))
    finally:
        gateway.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
