"""Tables larger than the memory they may use: the same answers, no more memory than said."""

import contextlib
import functools
import os
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from cgroups import kills, memory_cgroup
from conftest import ARROW, Server, to_ipc

MIB = 1 << 20
WIDTH = 100
SCHEMA = {
    "columns": {
        "id": {"dtype": "utf8", "nullable": False},
        **{f"f{c}": {"dtype": "float32"} for c in range(WIDTH)},
    },
    "key": ["id"],
}


def rows(first: int, count: int) -> pa.Table:
    numbers = np.arange(first, first + count)
    columns = {
        f"f{c}": pa.array((numbers * (c + 1) % 16_777_213).astype("float32")) for c in range(WIDTH)
    }
    return pa.table({"id": pa.array([f"user:{n:09d}" for n in numbers]), **columns})


def check(server: Server, numbers: list[int], stored: int) -> None:
    columns = ["f0", "f7", f"f{WIDTH - 1}"]
    keys = pa.table({"id": pa.array([f"user:{n:09d}" for n in numbers])})
    answer = server.post(
        "/api/v1/table/t/fetch", to_ipc(keys, columns), content_type=ARROW, accept=ARROW
    )
    assert answer.status == 200, answer
    found = [at for at, number in enumerate(numbers) if number < stored]
    assert answer.table.column("_idx").to_pylist() == found
    for name in columns:
        expected = [float(numbers[at] * (int(name[1:]) + 1) % 16_777_213) for at in found]
        assert answer.table.column(name).to_pylist() == expected


def load(folder: Path, count: int) -> int:
    """-> bytes of the segments, none of which is in the page cache any more."""
    server = Server(folder)
    server.create("t", SCHEMA)
    for first in range(0, count, 100_000):
        assert server.write("t", rows(first, min(100_000, count - first))).status == 200
    assert server.post("/api/v1/table/t/compact").status == 200
    server.stop()
    total = 0
    for path in folder.rglob("*.flseg"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        total += path.stat().st_size
    return total


def metric(server: Server, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (.*)$", server.get("/metrics").body.decode(), re.M)
    return float(found.group(1)) if found else 0.0


def test_rows_that_have_no_room_are_read_from_the_disk(tmp_path):
    load(tmp_path / "data", 30_000)
    seed = int(time.time())
    print(f"seed {seed}")
    draw = random.Random(seed)
    for budget, is_cold in (("4MiB", True), ("1GiB", False)):
        server = Server(tmp_path / "data", "--memory-budget", budget)
        part = 'fletching_memory_budget_bytes{part="%s"}'
        assert (metric(server, part % "cold_rows") > 0) == is_cold
        assert (metric(server, part % "row_cache") > 0) == is_cold
        assert metric(server, part % "budget") == (4 * MIB if is_cold else 1024 * MIB)
        hot = [draw.randrange(30_000) for _ in range(200)]
        for _ in range(20):
            check(server, hot + [draw.randrange(33_000) for _ in range(200)], 30_000)
        from_disk = metric(server, 'fletching_budget_rows_total{from="disk"}')
        from_memory = metric(server, 'fletching_budget_rows_total{from="memory"}')
        assert (from_disk > 0) == is_cold
        assert (from_memory > 2000) == is_cold  # those that are asked for again and again
        server.stop()


def test_four_times_as_much_data_as_memory(tmp_path):
    """Uniform keys, several clients and a writer, in a quarter of the memory of the data."""
    count = 1_000_000
    limit_bytes = load(tmp_path / "data", count) // 4
    with contextlib.ExitStack() as stack:
        try:
            cgroup = stack.enter_context(memory_cgroup(limit_bytes))
        except OSError as error:
            pytest.skip(str(error))
        budget = f"--memory-budget={limit_bytes // 2}B"
        server = Server(tmp_path / "data", budget, cgroup=cgroup)
        failures: list[BaseException] = []
        until = time.monotonic() + 8

        def keep(step: Callable[[], None]) -> None:
            try:
                while time.monotonic() < until and not failures:
                    step()
            except BaseException as failure:
                failures.append(failure)

        def read(draw: random.Random) -> None:
            check(server, [draw.randrange(count * 11 // 10) for _ in range(500)], count)

        def write() -> None:  # what stands there already
            assert server.write("t", rows(random.randrange(count - 2000), 2000)).status == 200

        steps = [write, *(functools.partial(read, random.Random(seed)) for seed in range(3))]
        threads = [threading.Thread(target=keep, args=(step,)) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert kills(cgroup) == 0, (cgroup / "memory.stat").read_text()
        assert not failures, failures[0]
        assert server.process.poll() is None
        server.stop()
