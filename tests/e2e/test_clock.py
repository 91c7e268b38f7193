"""The wall clock of a running server is set back, and forward again. Nothing waits for it."""

import json
import os
import random
import time

import pyarrow.parquet as pq
import pytest
from pull_node import Node, publish, rows, until
from s3_gateway import BUCKET, own_s3_server
from test_pull_s3 import S3Node, s3_source
from test_remote import SCHEMA, Remote, problems, value_of
from test_remote import rows as numbered
from wall_clock import clock

__all__ = ["clock", "own_s3_server"]

DAY_S = 86_400
HOUR_S = 3_600
WITH_TTL = SCHEMA | {"ttl": "1h"}


def values(server, *keys: str) -> list:
    body = {"keys": list(keys), "columns": ["v"]}
    return server.post("/api/v1/table/docs/fetch", body).json["columns"]["v"]


def test_polls_go_on_and_what_is_new_is_loaded(clock, tmp_path):
    source = tmp_path / "source"
    publish(source, "2026-11-20", {"a.parquet": rows({"k": 1})})
    here = Node(tmp_path, env=clock.env)
    try:
        first = here.wait_for("2026-11-20")
        clock.set(-DAY_S, here.server)
        folder = publish(source, "2026-11-21", {"a.parquet": rows({"k": 2})})
        second = here.wait_for("2026-11-21")
        assert here.scores("k") == [2]
        assert here.info()["generation"]["previous"] == first
        # Written anew by a machine whose clock went back too: the file is older than before.
        pq.write_table(rows({"k": 3}), folder / "a.parquet")
        yesterday = time.time() - DAY_S
        os.utime(folder / "a.parquet", (yesterday, yesterday))
        third = here.wait_for("2026-11-21", other_than=second)
        until(lambda: here.scores("k") == [3], here.log)
        # Started again with the clock behind what it wrote itself.
        clock.set(-2 * DAY_S, here.server)
        assert here.server.stop() == 0
        here.start()
        assert here.generation() == here.wait_for("2026-11-21", other_than=second) == third
        clock.set(0, here.server)
        publish(source, "2026-11-22", {"a.parquet": rows({"k": 4})})
        here.wait_for("2026-11-22")
        assert here.scores("k") == [4]
        assert here.problems() == []
        assert here.server.stop() == 0
    finally:
        if here.server.process.poll() is None:
            here.server.kill()


def test_a_bucket_whose_clock_is_another(clock, own_s3_server, tmp_path):
    """The store refuses requests of another time than its own, or does not: rows stay right."""
    source = own_s3_server.folder / BUCKET / "docs"
    publish(source, "2026-11-20", {"a.parquet": rows({"k": 1})})
    env = own_s3_server.env | clock.env
    here = S3Node(tmp_path, s3_source("docs", own_s3_server.endpoint), env)
    try:
        here.wait_for("2026-11-20")
        clock.set(-HOUR_S, here.server)
        publish(source, "2026-11-21", {"a.parquet": rows({"k": 2})})
        until(lambda: here.scores("k") == [2] or here.problems(), here.log)
        assert here.scores("k") in ([1], [2])
        clock.set(0, here.server)
        here.wait_for("2026-11-21")
        assert here.scores("k") == [2]
        until(lambda: here.problems() == [], here.problems)
        assert here.server.stop() == 0
    finally:
        if here.server.process.poll() is None:
            here.server.kill()


@pytest.fixture(params=["folder", "s3"])
def remote(request, tmp_path, clock):
    if request.param == "folder":
        made = Remote(tmp_path, f"file://{tmp_path}/remote", clock.env)
    else:
        gateway = request.getfixturevalue("own_s3_server")
        made = Remote(tmp_path, f"s3://{BUCKET}/clock", gateway.env | clock.env)
    yield made
    made.stop()


def test_a_writer_publishes_and_a_replica_follows(remote, clock):
    # S3 refuses requests that are more than 15 minutes off.
    back_s = DAY_S if remote.url.startswith("file") else 10 * 60
    writer = remote.node("writer", acknowledge="remote", keep_deleted="300ms")
    writer.create("docs", SCHEMA)
    writer.write("docs", numbered(0, 100, 1))
    replica = remote.replica("replica")
    until(lambda: value_of(replica, "k99") == 1, "the first rows")
    clock.set(-back_s, writer, replica)
    writer.write("docs", numbered(0, 100, 2))
    until(lambda: value_of(replica, "k99") == 2, "rows that are older by the clock")
    assert writer.post("/api/v1/table/docs/delete", {"keys": ["k0"]}).status == 200
    until(lambda: value_of(replica, "k0") is None, "the deletion")
    writer.stop()
    writer = remote.node("writer", acknowledge="remote", keep_deleted="300ms")
    writer.write("docs", numbered(0, 1, 3))
    fresh = remote.replica("fresh")
    until(lambda: value_of(fresh, "k0") == 3 and value_of(fresh, "k99") == 2, "all of it")
    clock.set(0, writer, replica, fresh)
    writer.write("docs", numbered(0, 100, 4))
    until(lambda: value_of(replica, "k99") == value_of(fresh, "k0") == 4, "the last rows")
    assert problems(writer) == problems(replica) == problems(fresh) == []


def test_a_store_that_refuses_this_time_is_said_and_caught_up_with(own_s3_server, clock, tmp_path):
    remote = Remote(tmp_path, f"s3://{BUCKET}/clock", own_s3_server.env | clock.env)
    try:
        writer = remote.node("writer")
        writer.create("docs", SCHEMA)
        writer.write("docs", numbered(0, 5, 1))
        replica = remote.replica("replica")
        until(lambda: value_of(replica, "k4") == 1, "the first rows")
        clock.set(-HOUR_S, writer, replica)
        writer.write("docs", numbered(0, 5, 2))  # acknowledged by this disk
        assert values(writer, "k0", "k4") == [2, 2]
        for node in (writer, replica):
            until(lambda n=node: problems(n), "a problem")
            assert "this machine's clock and the store's differ too much" in problems(node)[0]
            assert "behind" in problems(node)[0]
        assert values(replica, "k0", "k4") == [1, 1]
        clock.set(0, writer, replica)
        until(lambda: values(replica, "k0", "k4") == [2, 2], "what waited", 120)
        until(lambda: problems(writer) == problems(replica) == [], "health")
    finally:
        remote.stop()


def test_the_last_write_wins_whatever_its_time(make_server, clock):
    """A clock that jumps back before every write: what was acknowledged last is read."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    server = make_server(env=clock.env)
    server.create("docs", SCHEMA)
    written = {}
    for value in range(120):
        clock.set(-value * HOUR_S)
        key = f"k{draw.randrange(8)}"
        if draw.random() < 0.25:
            assert server.post("/api/v1/table/docs/delete", {"keys": [key]}).status == 200
            written[key] = None
        else:
            server.write("docs", {"columns": {"id": [key], "v": [value]}})
            written[key] = value
        assert values(server, *written) == list(written.values())
        if value % 40 == 20:
            assert server.post("/api/v1/table/docs/compact").status == 200
        if value % 40 == 39:
            if draw.random() < 0.5:
                server.kill()
            else:
                assert server.stop() == 0
            server = make_server(env=clock.env)
        assert values(server, *written) == list(written.values())
    clock.set(0, server)
    assert values(server, *written) == list(written.values())
    assert server.post("/api/v1/table/docs/compact").status == 200
    assert values(server, *written) == list(written.values())
    assert server.stop() == 0


def test_the_newest_event_wins_whatever_the_time(make_server, clock):
    server = make_server(env=clock.env)
    at = {
        "columns": SCHEMA["columns"] | {"at": {"dtype": "timestamp[us, UTC]"}},
        "event_time": "at",
    }
    server.create("docs", at)

    def write(value: int, time_us: int) -> None:
        server.write("docs", {"columns": {"id": ["k"], "v": [value], "at": [time_us]}})

    write(1, 1_000)
    clock.set(-DAY_S, server)
    write(2, 2_000)
    assert values(server, "k") == [2]
    clock.set(DAY_S, server)
    write(3, 1_500)
    assert values(server, "k") == [2]
    assert server.post("/api/v1/table/docs/compact").status == 200
    assert values(server, "k") == [2]


def test_rows_written_while_it_is_behind_are_there_until_they_are_old(make_server, clock):
    server = make_server(env=clock.env)
    server.create("docs", WITH_TTL)
    clock.set(-DAY_S, server)
    server.write("docs", numbered(0, 1, 1))
    assert values(server, "k0") == [1]
    clock.set(-DAY_S - HOUR_S, server)  # before they were written
    assert values(server, "k0") == [1]
    clock.set(-DAY_S + HOUR_S + 60, server)
    assert values(server, "k0") == [None]


@pytest.mark.parametrize("how", ["write", "delete"])
def test_what_expired_does_not_bring_back_what_it_replaced(make_server, clock, how):
    """Its time is older than that of what it replaced: the clock was behind when it came."""
    server = make_server(env=clock.env)
    server.create("docs", WITH_TTL)
    server.write("docs", numbered(0, 1, 1))
    assert server.post("/api/v1/table/docs/compact").status == 200
    clock.set(-2 * HOUR_S, server)
    if how == "write":
        server.write("docs", numbered(0, 1, 2))
        assert values(server, "k0") == [2]
    else:
        assert server.post("/api/v1/table/docs/delete", {"keys": ["k0"]}).status == 200
        assert values(server, "k0") == [None]
    clock.set(0, server)
    assert values(server, "k0") == [None]
    assert server.post("/api/v1/table/docs/compact").status == 200
    assert values(server, "k0") == [None]


@pytest.mark.parametrize("seconds", [-DAY_S, DAY_S])
def test_connections_outlive_a_jump(make_server, clock, seconds):
    """Limits of time are by the other clock: a jump ends no request and no idle connection."""
    server = make_server(env=clock.env)
    server.create("docs", SCHEMA)
    body = json.dumps({"columns": {"id": ["k"], "v": [1]}}).encode()
    connection = server.connect()
    connection.request("GET", "/health")
    assert connection.getresponse().read() == b"OK"
    with server.socket() as half:
        head = f"PUT /api/v1/table/docs/write HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}"
        half.sendall(f"{head}\r\n\r\n".encode() + body[:5])
        clock.set(seconds, server)
        half.sendall(body[5:])
        assert half.recv(1000).startswith(b"HTTP/1.1 200 ")
    idle = connection.sock
    connection.request("GET", "/health")
    assert connection.getresponse().read() == b"OK"
    assert connection.sock is idle
    assert values(server, "k") == [1]
    connection.close()
    assert server.stop() == 0
