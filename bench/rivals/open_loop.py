"""Requests that are due at fixed times, whether or not the last one is answered: HTTP beside Redis
MGET, each at half of what it can take one after another, quietly and while rows are written."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rivals import measure, wire
from rivals.data import Case, Table
from rivals.fletching_host import FletchingHost
from rivals.measure import run_on

WRITE_ROWS = 1_000  # of a batch
WRITE_ROWS_PER_S = 50_000
WRITE_BATCHES = 50  # different ones, written over and over with the values that are there


class Door:
    """One server: where it is, requests with the answers that are due, and how to write to it."""

    def __init__(self, name: str, address: list[str], exchanges: Path, writes: Path) -> None:
        self.name, self.address, self.exchanges, self.writes = name, address, exchanges, writes

    def measure(self, seconds: float, rate: int = 0) -> dict[str, Any]:
        flags = [f"--milliseconds={int(seconds * 1000)}", f"--rate={rate}"]
        command = wire.client_command(self.exchanges, self.address, *flags)
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        return wire.read_result(done.stdout, done.stderr, done.returncode)

    @contextlib.contextmanager
    def written_to(self, rows_per_s: int) -> Iterator[None]:
        """Meanwhile, so many rows a second are written on a connection of its own. The writer is on
        the server's core, as the reader must not share its own."""
        flags = [f"--rate={max(1, rows_per_s // WRITE_ROWS)}", "--sleep", "--compare=0"]
        flags += ["--milliseconds=600000"]
        command = wire.client_command(self.writes, self.address, *flags)
        if measure.SERVER_CPUS:
            command[-1] = f"--cpu={min(measure.SERVER_CPUS)}"
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            yield
            if writer.poll() is not None:
                raise RuntimeError(f"the writer of {self.name} ended with {writer.returncode}")
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            writer.stdout.close()


def doors(host: FletchingHost, session: Any, case: Case, args: Any) -> list[Door]:
    sets = case.draw(args.seed, args.smoke)
    table = case.table
    ours = [f"--port={host.port}", "--framing=http"]
    return [
        Door("fletching_http", ours, host.exchanges(sets), our_writes(host, table)),
        Door("redis_blobs", session.address, session.exchanges(sets), their_writes(session, table)),
    ]


def batches(table: Table) -> Iterator[tuple[int, int]]:
    """(first row, rows) of what is written: rows all over the table."""
    rows = min(WRITE_ROWS, table.rows)
    for first in np.linspace(0, table.rows - rows, WRITE_BATCHES).astype(int).tolist():
        yield first, rows


def our_writes(host: FletchingHost, table: Table) -> Path:
    """Their answers differ by a version's digits; status and framing are looked at."""
    path = host.work / "http-writes"
    pairs = ((host.write_request(first, count), b"") for first, count in batches(table))
    return wire.write_exchanges(path, pairs)


def their_writes(session: Any, table: Table) -> Path:
    del table
    layout = session.layout
    pairs = []
    for first, count in batches(layout.table):
        numbers = np.arange(first, first + count, dtype=np.uint64)
        pairs.append((layout.load(numbers), b"+OK\r\n" * count))
    return wire.write_exchanges(session.work / "writes", pairs)


def open_loops(host: FletchingHost, session: Any, args: Any) -> list[dict[str, Any]]:
    """p99 of both, in turns, at half of each one's peak; and again while rows are written."""
    seconds, rounds = (0.1, 1) if args.smoke else (2.0, 3)
    case = Case("open loop", host.table)
    run_on(measure.CLIENT_CPUS)
    found = []
    try:
        both = doors(host, session, case, args)
        peaks = {door.name: int(door.measure(seconds)["rate"]) for door in both}
        for rows_per_s in (0, WRITE_ROWS_PER_S):
            for number in range(rounds):
                for door in both:
                    rate = max(1, peaks[door.name] // 2)
                    with door.written_to(rows_per_s) if rows_per_s else contextlib.nullcontext():
                        result = door.measure(seconds, rate)
                    result |= {"name": door.name, "write_rows_per_s": rows_per_s}
                    found.append(result | {"round": number, "due_per_s": rate})
    finally:
        run_on(None)
    return found
