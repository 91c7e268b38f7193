"""A replica's disk as a cache: under a budget, or with nothing but the rows that were read."""

import random
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import Server
from fault_proxy import proxy
from pull_node import until
from s3_gateway import BUCKET, own_s3_server, prefix, s3_server
from test_remote import (
    Remote,
    events,
    folder_remote,
    problems,
    remote,
    s3_remote,
    small_disk,
)

__all__ = [
    "folder_remote",
    "own_s3_server",
    "prefix",
    "proxy",
    "remote",
    "s3_remote",
    "s3_server",
]

COUNT = 60_000
MIB = 1 << 20
SCHEMA = {
    "columns": {
        "id": {"dtype": "utf8", "key": True, "nullable": False},
        **{f"f{c}": {"dtype": "float32"} for c in range(10)},
        "text": {"dtype": "utf8"},
        "rare": {"dtype": "int64"},
    }
}


def values(numbers: np.ndarray, version: int) -> dict[str, np.ndarray]:
    """What the rows of these numbers hold, as columns."""
    columns = {f"f{c}": (numbers * 31 + c * 7 + version).astype(np.float32) for c in range(10)}
    columns["text"] = np.array([f"{version}-{n}-" + "x" * (n % 50) for n in numbers], dtype=object)
    rare = [int(n) if n % 100 == 0 else None for n in numbers]
    columns["rare"] = np.array(rare, dtype=object)
    return columns


def table(version: int, count: int = COUNT) -> pa.Table:
    numbers = np.arange(count)
    columns = {"id": pa.array([f"k{n}" for n in numbers])}
    for name, column in values(numbers, version).items():
        kind = {"text": pa.string(), "rare": pa.int64()}.get(name, pa.float32())
        columns[name] = pa.array(column, type=kind)
    return pa.table(columns)


def check(node: Server, numbers: list[int], version: int, name: str = "docs") -> None:
    """Every value of these rows, and that a key which is not there is not found."""
    keys = [f"k{n}" for n in numbers] + ["nobody"]
    wanted = [*SCHEMA["columns"]][1:]
    answer = node.post(f"/api/v1/table/{name}/fetch", {"keys": keys, "columns": wanted})
    assert answer.status == 200, answer
    for column, expected in values(np.array(numbers), version).items():
        assert answer.json["columns"][column] == [*expected.tolist(), None], column


def disk_bytes(folder: Path) -> int:
    """What segments take of the disk, holes left out."""
    found = 0
    for path in (folder / "tables").rglob("*"):
        try:
            if path.suffix in (".flseg", ".flcache"):
                found += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue  # it was just dropped
    return found


def whole_segments(folder: Path) -> int:
    return len(list((folder / "tables").rglob("*.flseg")))


def metric(node: Server, name: str) -> float:
    for line in node.get("/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    raise AssertionError(f"{name} is not exported")


def is_ready(node: Server) -> bool:
    return node.get("/readyz").status == 200


@pytest.fixture
def seeded() -> random.Random:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


def write(writer: Server, name: str, version: int, count: int = COUNT) -> None:
    if writer.get(f"/api/v1/table/{name}").status == 404:
        writer.create(name, SCHEMA)
    assert writer.write(name, table(version, count)).status == 200


def test_a_lazy_replica_fetches_the_rows_that_are_read(remote, seeded):
    writer = remote.node("writer", acknowledge="remote")
    write(writer, "docs", 1)
    replica = remote.replica("replica", lazy="true")
    until(lambda: is_ready(replica), "readiness")
    folder = remote.folder / "replica"
    whole = disk_bytes(remote.folder / "writer")
    assert whole > 4 * MIB
    assert disk_bytes(folder) < whole / 8
    numbers = seeded.sample(range(COUNT), 20)
    check(replica, numbers, 1)
    assert disk_bytes(folder) < whole / 2
    assert whole_segments(folder) == 0
    misses = metric(replica, "fletching_cache_misses_total")
    assert misses >= 1
    hits = metric(replica, "fletching_cache_hits_total")
    check(replica, numbers, 1)
    assert metric(replica, "fletching_cache_misses_total") == misses
    assert metric(replica, "fletching_cache_hits_total") > hits
    until(lambda: metric(replica, "fletching_cache_bytes") > 0, "the gauge")
    # All of it, in the end, and as a scan.
    check(replica, list(range(COUNT)), 1)
    scanned = replica.get("/api/v1/table/docs/rows", accept="application/vnd.apache.arrow.stream")
    assert scanned.table.num_rows == COUNT


def test_a_lazy_replica_follows(remote):
    writer = remote.node("writer", acknowledge="remote")
    write(writer, "docs", 1)
    replica = remote.replica("replica", lazy="true")
    until(lambda: is_ready(replica), "readiness")
    check(replica, [0, 5, COUNT - 1], 1)
    write(writer, "docs", 2, 1000)

    def shows_the_new_rows():
        body = {"keys": ["k5"], "columns": ["text"]}
        answer = replica.post("/api/v1/table/docs/fetch", body)
        return answer.json["columns"]["text"] == [values(np.array([5]), 2)["text"][0]]

    until(shows_the_new_rows, "the new rows")
    check(replica, [0, 5, 999], 2)
    check(replica, [1000, COUNT - 1], 1)
    assert writer.post("/api/v1/table/docs/compact").status == 200
    write(writer, "other", 3, 1000)
    until(lambda: replica.get("/api/v1/table/other").status == 200, "another table")
    check(replica, [0, 999], 2)
    check(replica, [1000, COUNT - 1], 1)
    check(replica, [7], 3, "other")
    assert writer.request("DELETE", "/api/v1/table/other").status == 204
    until(lambda: replica.get("/api/v1/table/other").status == 404, "the drop")


@pytest.mark.parametrize("lazy", ["false", "true"])
def test_the_budget_holds_and_answers_are_right(remote, seeded, lazy):
    writer = remote.node("writer", acknowledge="remote")
    names = ["a", "b", "c"]
    for number, name in enumerate(names):
        write(writer, name, number)
    whole = disk_bytes(remote.folder / "writer")
    budget = whole // 2
    replica = remote.replica("replica", cache=f"{budget}B", lazy=lazy)
    until(lambda: is_ready(replica), "readiness")
    folder = remote.folder / "replica"
    done, faults = threading.Event(), []

    def watch():
        high = 0
        while not done.is_set():
            high = max(high, disk_bytes(folder))
            time.sleep(0.02)
        # What is being read, and what was dropped but is still named, comes on top.
        if high > whole * 1.1:
            faults.append(high)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(40):
        number = seeded.randrange(3)
        check(replica, seeded.sample(range(COUNT), 200), number, names[number])
    done.set()
    watcher.join()
    assert faults == []
    until(lambda: disk_bytes(folder) <= budget, lambda: f"{disk_bytes(folder)} of {budget}")
    assert problems(replica) == []


def test_what_is_used_stays_and_what_is_not_goes(s3_remote):
    writer = s3_remote.node("writer", acknowledge="remote")
    write(writer, "cold", 1)
    write(writer, "hot", 2)
    one = disk_bytes(s3_remote.folder / "writer") // 2
    replica = s3_remote.replica("replica", cache=f"{one * 3 // 2}B")
    until(lambda: is_ready(replica), "readiness")
    folder = s3_remote.folder / "replica"
    assert whole_segments(folder) == 1  # the first; there is no room for the second

    def the_hot_one_is_whole() -> bool:
        check(replica, [1, 2, 3], 2, "hot")
        hot = [path for path in (folder / "tables/00000002").iterdir() if path.suffix == ".flseg"]
        return len(hot) == 1

    until(the_hot_one_is_whole, "the segment in use to be fetched whole", 60)
    assert disk_bytes(folder) <= one * 3 // 2
    check(replica, [1, 2, 3], 1, "cold")


def test_what_is_here_is_served_while_the_store_is_away(tmp_path, own_s3_server):
    remote = Remote(tmp_path, f"s3://{BUCKET}/away", own_s3_server.env)
    try:
        writer = remote.node("writer", acknowledge="remote")
        write(writer, "docs", 1)
        replica = remote.replica("replica", lazy="true")
        until(lambda: is_ready(replica), "readiness")
        check(replica, [10, 20, 30], 1)
        own_s3_server.stop()
        check(replica, [10, 20, 30], 1)
        answer = replica.post("/api/v1/table/docs/fetch", {"keys": ["k40000"], "columns": ["f0"]})
        assert answer.status == 503
        assert "is not on this node's disk and could not be fetched" in answer.error
        until(lambda: problems(replica), "health")
        # Killed and started again without the store, it has what it had.
        replica.process.kill()
        replica.process.wait()
        again = remote.replica("replica", lazy="true")
        check(again, [10, 20, 30], 1)
        own_s3_server.start()
        until(lambda: problems(again) == [], "health", 120)
        check(again, [40000], 1)
    finally:
        remote.stop()


FAULTS = {
    "reset": {"reset_after": 2000, "times": 4},
    "cut": {"cut_after": 2000, "times": 4},
    "storm of 503": {"answer": 503, "times": 6},
    "wrong length": {"corrupt_length": 7, "times": 2},
    "hang": {"hang_after": 100, "times": 1},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_reads_through_a_bad_network_are_right_or_fail(s3_remote, proxy, seeded, fault):
    writer = s3_remote.node("writer", acknowledge="remote")
    write(writer, "docs", 1)
    replica = s3_remote.replica("replica", endpoint=proxy.endpoint, lazy="true")
    until(lambda: is_ready(replica), "readiness")
    proxy.plan("GET", r"flseg", **FAULTS[fault])
    numbers = seeded.sample(range(COUNT), 30)
    body = {"keys": [f"k{n}" for n in numbers], "columns": ["f0"]}
    answer = replica.post("/api/v1/table/docs/fetch", body)
    assert answer.status in (200, 503)
    if answer.status == 200:
        check(replica, numbers, 1)
    until(lambda: replica.post("/api/v1/table/docs/fetch", body).status == 200, "an answer", 60)
    check(replica, numbers, 1)


def test_kills_while_rows_come(s3_remote, seeded):
    writer = s3_remote.node("writer", acknowledge="remote")
    write(writer, "docs", 1)
    budget = f"{disk_bytes(s3_remote.folder / 'writer') // 2}B"
    for _ in range(6):
        replica = s3_remote.replica("replica", cache=budget, lazy="true")
        until(lambda node=replica: is_ready(node), "readiness")
        stop_at = time.monotonic() + seeded.random() * 0.5
        while time.monotonic() < stop_at:
            check(replica, seeded.sample(range(COUNT), 100), 1)
        replica.process.kill()
        replica.process.wait()
    replica = s3_remote.replica("replica", cache=budget, lazy="true")
    until(lambda: is_ready(replica), "readiness")
    check(replica, list(range(0, COUNT, 3)), 1)


def test_pieces_that_were_damaged_on_the_disk_are_fetched_again(s3_remote):
    writer = s3_remote.node("writer", acknowledge="remote")
    write(writer, "docs", 1)
    replica = s3_remote.replica("replica", lazy="true")
    until(lambda: is_ready(replica), "readiness")
    check(replica, list(range(0, COUNT, 50)), 1)
    replica.stop()
    (piece,) = (s3_remote.folder / "replica/tables").rglob("*.flcache")
    with piece.open("r+b") as file:  # as a power loss leaves what was never synced
        for at in range(0, piece.stat().st_size, 40_000):
            file.seek(at)
            file.write(b"\0" * 512)
    again = s3_remote.replica("replica", lazy="true")
    until(lambda: is_ready(again), "readiness")
    check(again, list(range(COUNT)), 1)


def test_a_full_disk_under_the_cache(s3_remote, tmp_path, seeded):
    writer = s3_remote.node("writer", acknowledge="remote")
    for number, name in enumerate(["a", "b", "c"]):
        write(writer, name, number)
    whole = disk_bytes(s3_remote.folder / "writer")
    with small_disk(tmp_path / "replica", whole // 2 + 2 * MIB, s3_remote):
        replica = s3_remote.replica("replica", lazy="true")  # no budget: the disk is the limit
        until(lambda: is_ready(replica), "readiness")
        answers = {200: 0, 507: 0}
        for _ in range(60):
            number = seeded.randrange(3)
            keys = seeded.sample(range(COUNT), 300)
            body = {"keys": [f"k{n}" for n in keys], "columns": ["f0"]}
            answer = replica.post(f"/api/v1/table/{'abc'[number]}/fetch", body)
            answers[answer.status] += 1
            if answer.status == 200:
                expected = values(np.array(keys), number)["f0"].tolist()
                assert answer.json["columns"]["f0"] == expected
            else:
                time.sleep(0.2)  # room is being made
        assert answers[200] > answers[507], answers
        replica.stop()


def test_a_table_that_is_still_coming_is_not_cleaned_up(folder_remote, tmp_path):
    writer = folder_remote.node("writer", acknowledge="remote")
    write(writer, "a", 1)
    lazy = folder_remote.replica("replica", lazy="true")
    until(lambda: is_ready(lazy), "readiness")
    lazy.stop()
    replica = folder_remote.replica("replica", cache="1GiB")  # no segment of a is whole yet
    until(lambda: events(replica, "followed"), "a root")
    replica.process.send_signal(signal.SIGSTOP)
    write(writer, "b", 2)
    objects = tmp_path / "remote/tables/00000002"
    before = set(objects.iterdir())
    write(writer, "b", 3, 1000)
    (second,) = set(objects.iterdir()) - before
    second.rename(tmp_path / "aside")
    replica.process.send_signal(signal.SIGCONT)
    until(lambda: events(replica, "follow_failed"), "the object to be missed")
    # Being read, a is fetched whole, and what lies about is cleaned up.
    check(replica, [1, 2, 3], 1, "a")
    a = tmp_path / "replica/tables/00000001"
    until(lambda: any(path.suffix == ".flseg" for path in a.iterdir()), "a to be whole")
    (tmp_path / "aside").rename(second)
    until(lambda: replica.get("/api/v1/table/b").status == 200, lambda: str(problems(replica)))
    check(replica, [0, 999], 3, "b")
    check(replica, [1000, COUNT - 1], 2, "b")


def test_the_cache_is_a_replicas(folder_remote):
    for setting in ({"lazy": "true"}, {"cache": "1GiB"}):
        with pytest.raises(AssertionError, match="are for replicas"):
            folder_remote.node("writer", **setting)


def test_a_cache_that_is_turned_off_becomes_whole(s3_remote):
    writer = s3_remote.node("writer", acknowledge="remote")
    write(writer, "docs", 1)
    replica = s3_remote.replica("replica", lazy="true")
    until(lambda: is_ready(replica), "readiness")
    check(replica, [1, 2, 3], 1)
    replica.stop()
    again = s3_remote.replica("replica")
    folder = s3_remote.folder / "replica"
    until(lambda: is_ready(again) and whole_segments(folder) == 1, "the whole segment")
    check(again, list(range(0, COUNT, 7)), 1)
    until(lambda: not list((folder / "tables").rglob("*.flcache")), "no parts")
    again.stop()
    # A node that becomes the writer has everything as well.
    lazy = s3_remote.replica("second", lazy="true")
    until(lambda: is_ready(lazy), "readiness")
    lazy.stop()
    writer.stop()
    shutil.rmtree(s3_remote.folder / "writer")
    assert s3_remote.promote("second").returncode == 0
    check(s3_remote.node("second"), list(range(0, COUNT, 7)), 1)
