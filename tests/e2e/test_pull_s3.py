"""Tables that load themselves from a real S3 server, and what a network does to that."""

import io
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_proxy import FaultProxy, proxy
from pull_node import COLUMNS, Node, until
from pull_node import rows as pulled_rows
from s3_gateway import BUCKET, own_s3_server, prefix, s3_server

__all__ = ["own_s3_server", "prefix", "proxy", "s3_server"]


class Bucket:
    """Date folders under a prefix."""

    def __init__(self, server, prefix: str):
        self.fs, self.prefix = server.arrow(), prefix

    def put(self, name: str, content: bytes) -> None:
        for last_try in (False, False, False, True):
            try:
                with self.fs.open_output_stream(f"{BUCKET}/{self.prefix}/{name}") as out:
                    out.write(content)
                return
            except OSError as error:
                # Now and then the gateway cannot read the end of PyArrow's multipart upload.
                if last_try or "CompleteMultipartUpload" not in str(error):
                    raise

    def publish(self, date: str, files: dict[str, pa.Table], complete: bool = True) -> None:
        for name, table in files.items():
            content = io.BytesIO()
            pq.write_table(table, content, row_group_size=50_000)
            self.put(f"{date}/{name}", content.getvalue())
        if complete:
            self.put(f"{date}/_SUCCESS", b"")


def s3_source(prefix: str, endpoint: str, bucket: str = BUCKET) -> dict:
    return {"s3": {"bucket": bucket, "prefix": prefix, "region": "us-east-1", "endpoint": endpoint}}


class S3Node(Node):
    """A server whose table `docs` follows a prefix."""

    def __init__(self, folder: Path, source: dict, env: dict[str, str]):
        table = {
            "source": source,
            "poll_interval": "100ms",
            "parts": 2,
            "key": ["id"],
            "columns": COLUMNS,
        }
        super().__init__(folder, json.dumps({"tables": {"docs": table}}), env)


@pytest.fixture
def node(tmp_path):
    nodes = []

    def make(source: dict, env: dict[str, str]) -> S3Node:
        nodes.append(S3Node(tmp_path, source, env))
        return nodes[-1]

    yield make
    for each in nodes:
        each.server.stop()


@pytest.fixture
def bucket(s3_server, prefix):
    return Bucket(s3_server, prefix)


def many(count: int, value: float) -> pa.Table:
    draw = random.Random(1)
    wide = pa.array([f"{draw.getrandbits(256):064x}" for _ in range(count)])
    return pulled_rows({f"k{n}": value for n in range(count)}, nobody_asked=wide)


def test_generations_come_from_s3_and_an_empty_node_has_them_too(node, bucket, s3_server, tmp_path):
    bucket.publish("2026-11-20", {"a.parquet": many(9000, 1), "b.parquet": pulled_rows({"k0": 5})})
    here = node(s3_source(bucket.prefix, s3_server.endpoint), s3_server.env)
    here.wait_for("2026-11-20")
    assert here.scores("k0", "k8999", "nobody") == [5, 1, None]
    bucket.publish("2026-11-21", {"a.parquet": many(9500, 2)})
    here.wait_for("2026-11-21")
    assert here.scores("k0", "k9499") == [2, 2]
    here.server.process.kill()  # and its disk is gone
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # Where S3 is may be said by the environment, as to other programs.
    source = {"s3": {"bucket": BUCKET, "prefix": bucket.prefix}}
    again = S3Node(elsewhere, source, s3_server.env)
    try:
        again.wait_for("2026-11-21")
        assert again.scores("k0", "k9499") == [2, 2]
        # What was fetched lies nowhere any more.
        assert not list((elsewhere / "data").glob("pull-*"))
    finally:
        again.server.stop()


def test_only_declared_columns_are_fetched(node, bucket, s3_server, proxy):
    bucket.publish("2026-11-20", {"a.parquet": many(40_000, 1)})
    info = bucket.fs.get_file_info(f"{BUCKET}/{bucket.prefix}/2026-11-20/a.parquet")
    here = node(s3_source(bucket.prefix, proxy.endpoint), s3_server.env)
    here.wait_for("2026-11-20")
    fetched = 0
    for seen in proxy.clear():
        if seen.method == "GET" and seen.target.split("?")[0].endswith("a.parquet"):
            first, _, last = seen.headers.get("range", "").removeprefix("bytes=").partition("-")
            fetched += int(last) - int(first) + 1
    assert 0 < fetched < info.size / 2


@pytest.mark.parametrize(
    ("source", "env", "words"),
    [
        ({}, {"AWS_SECRET_ACCESS_KEY": "hunter2hunter2"}, "check AWS_ACCESS_KEY_ID"),
        ({"bucket": "no-such-bucket"}, {}, "no-such-bucket"),
        ({"endpoint": "http://127.0.0.1:1"}, {}, "is the endpoint right"),
    ],
)
def test_what_is_wrong_with_the_source_is_said(node, bucket, s3_server, source, env, words):
    described = s3_source(bucket.prefix, s3_server.endpoint)
    described["s3"] |= source
    here = node(described, s3_server.env | env)
    (problem,) = until(here.problems, lambda: here.log()[-3000:], 120)
    assert words in problem
    assert "hunter2" not in here.log() + problem
    assert here.server.get("/readyz").status == 503


FAULTS = {
    "reset in mid-object": {"reset_after": 3000, "times": 2},
    "cut in mid-object": {"cut_after": 3000, "times": 2},
    "storm of 503": {"answer": 503, "times": 4},
    "wrong length": {"corrupt_length": 500, "times": 1},
    "slow": {"delay_s": 1.5, "times": 1},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_network_leaves_the_old_generation_or_brings_the_new(
    node, bucket, s3_server, proxy, fault
):
    bucket.publish("2026-11-20", {"a.parquet": many(9000, 1)})
    here = node(s3_source(bucket.prefix, proxy.endpoint), s3_server.env)
    here.wait_for("2026-11-20")
    proxy.plan("GET", r"2026-11-21/a\.parquet", **FAULTS[fault])
    bucket.publish("2026-11-21", {"a.parquet": many(9100, 2)})
    here.wait_for("2026-11-21")
    assert here.scores("k0", "k9099") == [2, 2]
    until(lambda: here.problems() == [], "health")


def test_a_server_that_hangs_keeps_nobody_from_reading(node, bucket, s3_server, proxy):
    bucket.publish("2026-11-20", {"a.parquet": many(3000, 1)})
    here = node(s3_source(bucket.prefix, proxy.endpoint), s3_server.env)
    shown = here.wait_for("2026-11-20")
    proxy.plan("GET", r"2026-11-21/a\.parquet", times=100, hang_after=2000)
    bucket.publish("2026-11-21", {"a.parquet": many(3000, 2)})
    until(lambda: len(here.events("table_loading")) > 1, "the load")
    assert here.scores("k0") == [1]
    assert here.generation() == shown
    here.server.stop()  # in time, in the middle of it


def test_an_object_replaced_while_it_is_read_is_loaded_again(node, bucket, s3_server, proxy):
    bucket.publish("2026-11-20", {"a.parquet": many(3000, 1)})
    here = node(s3_source(bucket.prefix, proxy.endpoint), s3_server.env)
    here.wait_for("2026-11-20")

    def replace():
        bucket.publish("2026-11-21", {"b.parquet": many(9000, 3)})

    bucket.publish("2026-11-21", {"a.parquet": many(3000, 2), "b.parquet": many(9000, 2)}, False)
    proxy.plan("GET", r"2026-11-21/b\.parquet", before=replace)
    bucket.put("2026-11-21/_SUCCESS", b"")
    here.wait_for("2026-11-21")
    until(lambda: here.scores("k8999") == [3], "the newer object")
    assert here.scores("k0", "k8999") == [3, 3]


def test_s3_stopped_in_mid_load(node, own_s3_server):
    bucket = Bucket(own_s3_server, "stopped")
    bucket.publish("2026-11-20", {"a.parquet": many(3000, 1)})
    proxy = FaultProxy(own_s3_server.port)
    try:
        here = node(s3_source("stopped", proxy.endpoint), own_s3_server.env)
        shown = here.wait_for("2026-11-20")
        proxy.plan("GET", r"2026-11-21/b\.parquet", before=own_s3_server.stop)
        bucket.publish("2026-11-21", {"a.parquet": many(3000, 2), "b.parquet": many(3000, 2)})
        until(here.problems, "a problem", 120)
        assert here.generation() == shown
        assert here.scores("k0") == [1]
        own_s3_server.start()
        here.wait_for("2026-11-21")
    finally:
        proxy.stop()
