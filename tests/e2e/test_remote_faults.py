"""What networks, disks and kills do to a writer and its replicas. Nothing is ever shown in part."""

import os
import time

import pyarrow as pa
import pytest
from fault_proxy import proxy
from pull_node import until
from s3_gateway import prefix, s3_server
from test_remote import SCHEMA, events, problems, rows, s3_remote, small_disk, value_of

__all__ = ["prefix", "proxy", "s3_remote", "s3_server"]


@pytest.fixture
def remote(s3_remote):
    return s3_remote


def large(value: int, count: int = 60_000) -> pa.Table:
    return rows(0, count, value)


DOWNLOADS = {
    "reset in mid-object": {"reset_after": 100_000, "times": 2},
    "cut in mid-object": {"cut_after": 100_000, "times": 2},
    "storm of 503": {"answer": 503, "times": 5},
    "wrong length": {"corrupt_length": 700, "times": 1},
}


@pytest.mark.parametrize("fault", DOWNLOADS)
def test_a_replica_behind_a_bad_network_gets_there(remote, proxy, fault):
    writer = remote.node("writer")
    writer.create("docs", SCHEMA)
    writer.write("docs", large(1))
    proxy.plan("GET", r"flseg", **DOWNLOADS[fault])
    replica = remote.replica("replica", endpoint=proxy.endpoint)
    until(lambda: value_of(replica, "k59999") == 1, lambda: str(events(replica, "follow_failed")))
    until(lambda: problems(replica) == [], "health")


UPLOADS = {
    "storm of 503": {"answer": 503, "times": 5},
    "request lost": {"lose_request_after": 50_000, "times": 2},
    "answer lost": {"lose_answer": True, "times": 1},
}


@pytest.mark.parametrize("fault", UPLOADS)
@pytest.mark.parametrize("target", ["flseg", "root"])
def test_a_writer_behind_a_bad_network_gets_there(remote, proxy, fault, target):
    writer = remote.node("writer", endpoint=proxy.endpoint)
    writer.create("docs", SCHEMA)
    until(lambda: events(writer, "published"), "the first root")
    what = UPLOADS[fault]
    if target == "root" and "lose_request_after" in what:
        what = {"lose_request_after": 10, "times": 2}
    proxy.plan("PUT", target, **what)
    for value in range(3):
        writer.write("docs", large(value))
    replica = remote.replica("replica")
    until(lambda: value_of(replica, "k59999") == 2, lambda: str(events(writer, "publish_failed")))
    assert writer.write("docs", rows(0, 1, 9)).status == 200  # it is still the writer
    until(lambda: value_of(replica, "k0") == 9, "the last row")


def test_a_write_that_waits_for_a_remote_that_is_away_says_so(remote, proxy):
    writer = remote.node(
        "writer", endpoint=proxy.endpoint, acknowledge="remote", acknowledge_time="1s"
    )
    writer.create("docs", SCHEMA)
    proxy.plan("PUT", "", answer=503, times=1000)
    answer = writer.put("/api/v1/table/docs/write", rows(0, 1, 1))
    assert answer.status == 503
    assert "durable here, but not yet in" in answer.error
    assert value_of(writer, "k0") == 1
    proxy.clear()
    replica = remote.replica("replica")
    until(lambda: value_of(replica, "k0") == 1, "the same row", 120)


def test_a_replica_killed_while_it_downloads_goes_on(remote, proxy):
    writer = remote.node("writer")
    writer.create("docs", SCHEMA)
    writer.write("docs", rows(0, 1000, 0))
    replica = remote.replica("replica", endpoint=proxy.endpoint)
    until(lambda: value_of(replica, "k999") == 0, "the first rows")
    for value in range(1, 5):
        proxy.plan("GET", r"flseg", hang_after=60_000, times=50)
        writer.write("docs", large(value))
        until(lambda: any("flseg" in seen.target for seen in proxy.seen), "a download")
        time.sleep(0.1 * value)
        replica.process.kill()
        replica.process.wait()
        proxy.clear()
        replica = remote.replica("replica", endpoint=proxy.endpoint)
        assert value_of(replica, "k999") in range(value + 1)  # at once, and whole
        until(lambda v=value, r=replica: value_of(r, "k59999") == v, "the rest")
        assert value_of(replica, "k999") == value


def test_a_replica_whose_disk_is_full_shows_what_it_has(remote, tmp_path):
    disk = tmp_path / "small"
    with small_disk(disk, 12 << 20, remote):
        writer = remote.node("writer")
        writer.create("docs", SCHEMA)
        writer.write("docs", large(1))
        replica = remote.replica("small/replica")
        until(lambda: value_of(replica, "k59999") == 1, "the first rows")
        free = os.statvfs(disk)
        (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - (1 << 20)))
        writer.write("docs", large(2))
        until(lambda: problems(replica), "a problem")
        assert "No space left" in problems(replica)[0]
        assert value_of(replica, "k59999") == 1
        assert value_of(replica, "k0") == 1
        (disk / "filler").unlink()
        until(lambda: value_of(replica, "k59999") == 2, "the next version", 120)
        until(lambda: problems(replica) == [], "health")
        replica.stop()


def test_a_root_by_a_newer_program_is_left_alone(remote, s3_server):
    writer = remote.node("writer")
    writer.create("docs", SCHEMA)
    writer.write("docs", rows(0, 10, 1))
    replica = remote.replica("replica")
    until(lambda: value_of(replica, "k9") == 1, "the first rows")
    writer.stop()
    path = remote.url[5:] + "/root"
    store = s3_server.arrow()
    content = bytearray(store.open_input_stream(path).read())
    content[8:12] = (99).to_bytes(4, "little")
    with store.open_output_stream(path) as out:
        out.write(bytes(content))
    until(lambda: problems(replica), "a problem")
    assert "written by a newer Fletching" in problems(replica)[0]
    assert value_of(replica, "k9") == 1
