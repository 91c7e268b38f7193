#!/usr/bin/env python3
"""fletchingd beside its floors, in one run: reads of 1,000 keys and durable writes of 1,000 rows.

    make bench B=http                    10 M rows, about two minutes
    bench/http_bench.py --smoke          seconds; shows that it works, measures nothing

Read bar:  time to last byte <= 1.6 x (bare loop + HTTP yardstick)
Write bar: time to answer    <= 1.5 x (append + fdatasync + HTTP yardstick)

The HTTP yardstick is the faster of nginx and a bare Beast server returning as many bytes for as
many. What is compared takes turns in short rounds, and the quietest round of each counts: the
machine is shared, and a noisy minute would else fall on one of them alone. Server and client are
pinned to a core each; `asleep` and `awake` are explained in docs/performance.md.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import run_yardsticks as yardsticks
from yardstick import nginx_floor

ARROW = "application/vnd.apache.arrow.stream"
COLUMNS = [f"f{i}" for i in range(10)]
MODES = ("asleep", "awake")


def key_of(number: int) -> str:
    return f"user:{number:09d}"


def write_bodies(path: Path, bodies: list[bytes]) -> Path:
    path.write_bytes(b"".join(struct.pack("<I", len(body)) + body for body in bodies))
    return path


def json_keys(numbers: list[int]) -> bytes:
    keys = [key_of(number) for number in numbers]
    return json.dumps({"keys": keys, "columns": COLUMNS}).encode()


def arrow_keys(numbers: list[int]) -> bytes:
    schema = pa.schema([("id", pa.utf8())], {"columns": json.dumps(COLUMNS)})
    batch = pa.record_batch([pa.array([key_of(number) for number in numbers])], schema=schema)
    return as_stream(batch)


def arrow_rows(first: int, count: int) -> bytes:
    keys = pa.array([key_of(first + i) for i in range(count)])
    values = [pa.array([float(i) for i in range(count)], pa.float32()) for _ in COLUMNS]
    return as_stream(pa.record_batch([keys, *values], names=["id", *COLUMNS]))


def as_stream(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


@contextlib.contextmanager
def fletchingd(folder: Path, cpus: set[int] | None):
    """Yields the port of a server over `folder`, kept on `cpus`."""
    program = os.environ.get("FLETCHINGD", "build/release/bin/fletchingd")
    command = [program, "--data-dir", str(folder), "--http", "127.0.0.1:0"]
    command += ["--flight", "off"]
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=pin
    )
    try:
        yield int(json.loads(server.stdout.readline())["http"].rpartition(":")[2])
    finally:
        server.terminate()
        server.wait(10)


class Bench:
    def __init__(self, args: argparse.Namespace, programs: Path, work: Path) -> None:
        self.args, self.programs, self.work = args, programs, work
        self.cpus = sorted(os.sched_getaffinity(0))
        self.server_cpus = {self.cpus[0]} if len(self.cpus) > 1 else None
        self.modes = MODES if self.server_cpus else MODES[:1]
        self.rounds = 1 if args.smoke else 5
        self.count = "--requests=50" if args.smoke else "--requests=1000"
        self.results: list[dict] = []

    def client(self, port: int, mode: str, *flags: str) -> dict:
        pinned = yardsticks.client_flags(mode, self.cpus)
        return yardsticks.run(
            self.programs / "http_client", f"--port={port}", self.count, *flags, *pinned
        )

    @contextlib.contextmanager
    def bare_servers(self, response_bytes: int):
        """Yields the ports of the HTTP yardsticks for answers of this size."""
        with contextlib.ExitStack() as stack:
            beast = yardsticks.beast(self.programs, response_bytes, self.server_cpus)
            ports = [stack.enter_context(beast)]
            if nginx_floor.find_nginx():
                nginx = nginx_floor.serve(b"y" * response_bytes, True, self.server_cpus)
                ports.append(stack.enter_context(nginx))
            yield ports

    def bare_loop(self) -> dict:
        reads = "--reads=50" if self.args.smoke else "--reads=1000"
        return yardsticks.run(self.programs / "bare_loop", f"--rows={self.args.rows}", reads)

    def load_table(self) -> None:
        """Loads the table of engine_read_bench and keeps it."""
        flags = [f"--rows={self.args.rows}", f"--dir={self.work / 'read'}", "--keep", "--reads=50"]
        yardsticks.run(self.programs / "engine_read_bench", *flags)

    def reads(self) -> None:
        self.load_table()
        draw = random.Random(1)
        sets = [[draw.randrange(self.args.rows) for _ in range(1000)] for _ in range(200)]
        shapes = {
            "JSON keys, dense Arrow": ("application/json", [json_keys(s) for s in sets]),
            "Arrow keys, sparse Arrow": (ARROW, [arrow_keys(s) for s in sets]),
        }
        with fletchingd(self.work / "read", self.server_cpus) as port:
            self.warm_up(port)
            for label, (content_type, bodies) in shapes.items():
                flags = [
                    "--path=/api/v1/table/bench/fetch",
                    f"--content-type={content_type}",
                    f"--accept={ARROW}",
                    f"--bodies-file={write_bodies(self.work / 'bodies', bodies)}",
                ]
                probe = self.client(port, "asleep", *flags)
                with self.bare_servers(probe["response_body_bytes"]) as bare_ports:
                    self.compare(
                        f"read, {label}",
                        lambda mode, f=flags: self.client(port, mode, *f),
                        {"bare": self.bare_loop},
                        (len(bodies[0]), bare_ports),
                        1.6,
                    )

    def compare(self, label, measure, floors, http, bar: float) -> None:
        """measure(mode) and every floor in turn, so many rounds; http: bytes of a request, and the
        ports of the bare servers."""
        request_bytes, bare_ports = http
        bare_flags = ["--path=/response.bin", f"--body-bytes={request_bytes}"]
        for mode in self.modes:
            ours, best = [], {name: [] for name in [*floors, "HTTP"]}
            for _ in range(self.rounds):
                ours.append(measure(mode))
                for port in bare_ports:
                    best["HTTP"].append(self.client(port, mode, *bare_flags)["p50_us"])
                for name, floor in floors.items():
                    best[name].append(floor()["p50_us"])
            quietest = min(ours, key=lambda result: result["p50_us"])
            lowest = {name: min(values) for name, values in best.items()}
            self.report(f"{label}, {mode}", quietest, lowest, bar)

    def warm_up(self, port: int) -> None:
        """Touches every page and block of the table once."""
        step = 50_000
        bodies = []
        for first in range(0, self.args.rows, step):
            keys = [key_of(n) for n in range(first, min(first + step, self.args.rows))]
            bodies.append(json.dumps({"keys": keys, "columns": ["f0"]}).encode())
        path = write_bodies(self.work / "warm", bodies)
        flags = ["--path=/api/v1/table/bench/fetch", "--content-type=application/json"]
        flags += [f"--accept={ARROW}", f"--bodies-file={path}", f"--requests={len(bodies)}"]
        yardsticks.run(self.programs / "http_client", f"--port={port}", "--warmup=0", *flags)

    def writes(self) -> None:
        bodies = [arrow_rows(i * 1000, 1000) for i in range(100)]
        path = write_bodies(self.work / "rows", bodies)
        columns = {"id": {"dtype": "utf8", "key": True, "nullable": False}}
        columns |= {name: {"dtype": "float32"} for name in COLUMNS}
        schema = write_bodies(self.work / "schema", [json.dumps({"columns": columns}).encode()])
        with fletchingd(self.work / "write", self.server_cpus) as port:
            create = ["--path=/api/v1/table/bench", "--method=PUT", "--requests=1", "--warmup=0"]
            create += ["--content-type=application/json", "--expect-status=201"]
            yardsticks.run(
                self.programs / "http_client", f"--port={port}", f"--bodies-file={schema}", *create
            )
            flags = ["--path=/api/v1/table/bench/write", "--method=PUT"]
            flags += [f"--content-type={ARROW}", f"--bodies-file={path}"]
            with self.bare_servers(100) as bare_ports:
                self.compare(
                    "durable write of 1,000 rows",
                    lambda mode: self.client(port, mode, *flags),
                    {"fsync": self.fsync_floor},
                    (len(bodies[0]), bare_ports),
                    1.5,
                )

    def fsync_floor(self) -> dict:
        tries = "--tries=20" if self.args.smoke else "--tries=500"
        return yardsticks.run(
            self.programs / "fsync_floor", f"--dir={self.work}", "--bytes=54000", tries
        )

    def report(self, label: str, result: dict, floors: dict[str, float], bar: float) -> None:
        ratio = result["p50_us"] / sum(floors.values())
        parts = " + ".join(f"{name} {value:.1f}" for name, value in floors.items())
        verdict = "ok" if ratio <= bar else "MISSED"
        print(
            f"{label}: p50 {result['p50_us']:.1f} us, p99 {result['p99_us']:.1f}; "
            f"{ratio:.2f} x ({parts}); bar {bar} {verdict}"
        )
        self.results.append(
            {"item": label, "p50_us": result["p50_us"], "ratio": ratio, "bar": bar, **floors}
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    parser.add_argument("--rows", type=int, help="rows of the table that is read")
    parser.add_argument("--dir", type=Path, help="where the data folders go; a disk, not tmpfs")
    parser.add_argument("--only", choices=("reads", "writes"))
    args = parser.parse_args()
    args.rows = args.rows or (20_000 if args.smoke else 10_000_000)
    programs = Path(os.environ.get("FLETCHING_BENCH_DIR", "build/release/bench"))
    if not (programs / "http_client").exists():
        sys.exit(f"error: no benchmark programs in {programs}; run `make bench B=http`")
    work = Path(tempfile.mkdtemp(prefix="fletching-http-bench-", dir=args.dir))
    try:
        bench = Bench(args, programs, work)
        if args.only != "writes":
            bench.reads()
        if args.only != "reads":
            bench.writes()
        print(json.dumps({"bench": "http", "results": bench.results}))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
