"""The truth under a URL: a writer that publishes, replicas that follow, a node that takes over."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.fs
import pytest
from conftest import Server, daemon_path
from pull_node import until
from s3_gateway import BUCKET, own_s3_server, prefix, s3_server

__all__ = ["own_s3_server", "prefix", "s3_server"]

SCHEMA = {
    "columns": {
        "id": {"dtype": "utf8", "key": True, "nullable": False},
        "v": {"dtype": "int64"},
    }
}


def rows(start: int, count: int, value: int) -> pa.Table:
    return pa.table({"id": [f"k{n}" for n in range(start, start + count)], "v": [value] * count})


class Remote:
    """A URL, and nodes over it."""

    def __init__(self, folder: Path, url: str, env: dict[str, str]):
        self.folder, self.url, self.env = folder, url, env
        self.nodes: list[Server] = []

    def node(self, name: str, role: str = "writer", **settings: str) -> Server:
        flags = ["--remote", self.url, "--remote-role", role]
        flags += ["--remote-publish-interval", "50ms", "--remote-poll-interval", "50ms"]
        for setting, value in settings.items():
            flags += [f"--remote-{setting.replace('_', '-')}", value]
        self.nodes.append(Server(self.folder / name, *flags, env=self.env))
        return self.nodes[-1]

    def replica(self, name: str, **settings: str) -> Server:
        return self.node(name, "replica", **settings)

    def promote(self, name: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "fletching", "promote", "--remote", self.url]
        command += ["--data-dir", self.folder / name]
        return subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            env={**os.environ, **self.env, "FLETCHINGD": str(daemon_path())},
        )

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


@contextlib.contextmanager
def small_disk(folder: Path, size_bytes: int, remote: Remote):
    """A file system of that size at `folder`, until the nodes of `remote` have ended."""
    folder.mkdir()
    options = f"size={size_bytes}"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True
    )
    if made.returncode != 0:
        pytest.skip("mounting a small disk takes root")
    try:
        yield
    finally:
        remote.stop()
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def s3_remote(prefix, tmp_path, s3_server):
    made = Remote(tmp_path, f"s3://{BUCKET}/{prefix}", s3_server.env)
    yield made
    made.stop()


@pytest.fixture
def folder_remote(tmp_path):
    made = Remote(tmp_path, f"file://{tmp_path}/remote", {})
    yield made
    made.stop()


@pytest.fixture(params=["s3", "folder"])
def remote(request):
    return request.getfixturevalue(f"{request.param}_remote")


def value_of(node: Server, key: str, table: str = "docs"):
    answer = node.post(f"/api/v1/table/{table}/fetch", {"keys": [key], "columns": ["v"]})
    return answer.json["columns"]["v"][0] if answer.status == 200 else None


def events(node: Server, name: str) -> list[dict]:
    lines = (json.loads(line) for line in node.log_path.read_text().splitlines() if line[0] == "{")
    return [line for line in lines if line["event"] == name]


def problems(node: Server) -> list[str]:
    return node.get("/health", accept="application/json").json.get("problems", [])


def test_a_replica_with_an_empty_disk_serves_and_follows(remote):
    writer = remote.node("writer")
    writer.create("docs", SCHEMA)
    writer.write("docs", rows(0, 1000, 1))
    replica = remote.replica("replica")
    until(lambda: value_of(replica, "k999") == 1, "the first rows")
    assert replica.get("/readyz").status == 200
    writer.write("docs", rows(0, 1, 2))
    until(lambda: value_of(replica, "k0") == 2, "the next rows")
    assert writer.post("/api/v1/table/docs/delete", {"keys": ["k1"]}).status == 200
    until(lambda: value_of(replica, "k1") is None, "the deletion")
    writer.create("other", SCHEMA)
    writer.write("other", rows(0, 1, 7))
    until(lambda: value_of(replica, "k0", "other") == 7, "another table")
    assert writer.request("DELETE", "/api/v1/table/other").status == 204
    until(lambda: replica.get("/api/v1/table/other").status == 404, "the drop")
    column = {"name": "more", "dtype": "float32", "nullable": True}
    assert writer.post("/api/v1/table/docs/columns", column).status == 201
    until(lambda: "more" in replica.get("/api/v1/table/docs/schema").json["columns"], "a column")
    assert writer.post("/api/v1/table/docs/compact").status == 200
    until(lambda: value_of(replica, "k0") == 2 and value_of(replica, "k999") == 1, "all of it")
    refused = replica.put("/api/v1/table/docs/write", rows(0, 1, 3))
    assert refused.status == 400
    assert "is a replica of" in refused.error


def test_a_replica_that_starts_again_serves_what_it_has(remote):
    writer = remote.node("writer")
    writer.create("docs", SCHEMA)
    writer.write("docs", rows(0, 10, 1))
    replica = remote.replica("replica")
    until(lambda: value_of(replica, "k9") == 1, "the first rows")
    replica.stop()
    writer.write("docs", rows(0, 10, 2))
    again = remote.replica("replica")
    assert value_of(again, "k9") in (1, 2)
    until(lambda: value_of(again, "k9") == 2, "what came meanwhile")


def test_acknowledged_remote_means_that_a_new_node_has_it(remote):
    writer = remote.node("writer", acknowledge="remote")
    writer.create("docs", SCHEMA)
    for value in range(3):
        writer.write("docs", rows(0, 5, value))
    writer.process.kill()  # and its disk is gone
    shutil.rmtree(remote.folder / "writer")
    done = remote.promote("second")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tables"] == 1
    second = remote.node("second", acknowledge="remote")
    assert value_of(second, "k4") == 2
    second.write("docs", rows(0, 5, 9))
    replica = remote.replica("replica")
    until(lambda: value_of(replica, "k4") == 9, "the new writer's rows")


def test_two_writers_cannot_both_win(remote):
    first = remote.node("first")
    first.create("docs", SCHEMA)
    first.write("docs", rows(0, 5, 1))
    until(lambda: events(first, "published"), "a root")
    with pytest.raises(AssertionError, match="has a writer already"):
        remote.node("second")
    until(lambda: value_of_fresh(remote, "third") == 1, "what was published")
    done = remote.promote("fourth")
    assert done.returncode == 0, done.stderr

    # The one before finds out when it puts its next root, and takes nothing from then on.
    def is_refused():
        answer = first.put("/api/v1/table/docs/write", rows(0, 1, 2))
        return answer.status == 503 and "another node has become the writer" in answer.error

    until(is_refused, "the refusal")
    assert any("another node has become the writer" in problem for problem in problems(first))
    first.stop()
    with pytest.raises(AssertionError, match="another node has become the writer"):
        remote.node("first")


def value_of_fresh(remote: Remote, name: str):
    replica = remote.replica(name)
    until(lambda: replica.get("/readyz").status == 200, "readiness")
    value = value_of(replica, "k0")
    replica.stop()
    return value


def test_a_writer_that_starts_again_goes_on(remote):
    writer = remote.node("writer")
    writer.create("docs", SCHEMA)
    writer.write("docs", rows(0, 5, 1))
    writer.process.kill()
    writer.process.wait()
    writer = remote.node("writer")
    writer.write("docs", rows(0, 1, 2))
    replica = remote.replica("replica")
    until(lambda: value_of(replica, "k0") == 2 and value_of(replica, "k4") == 1, "both")


def test_a_folder_from_a_backup_takes_nothing_back(remote):
    writer = remote.node("writer")
    writer.create("docs", SCHEMA)
    writer.write("docs", rows(0, 5, 1))
    until(lambda: len(events(writer, "published")) > 1, "a root")
    writer.stop()
    shutil.copytree(remote.folder / "writer", remote.folder / "backup")
    writer = remote.node("writer")
    for value in range(2, 5):
        before = len(events(writer, "published"))
        writer.write("docs", rows(0, 5, value))
        until(lambda n=before, w=writer: len(events(w, "published")) > n, "the next root")
    writer.stop()
    with pytest.raises(AssertionError, match="older than what it has published"):
        remote.node("backup")
    writer = remote.node("writer")
    assert value_of(writer, "k0") == 4


def test_folders_that_belong_elsewhere_are_refused(remote, tmp_path):
    own = Server(tmp_path / "own")
    own.create("mine", SCHEMA)
    own.stop()
    with pytest.raises(AssertionError, match="has tables of its own; a replica wants an empty one"):
        remote.replica("own")
    done = remote.promote("own")
    assert done.returncode == 1
    assert "has tables of its own" in done.stderr
    done = remote.promote("nothing")
    assert "holds nothing to take over" in done.stderr


def test_what_nothing_names_any_more_is_removed_later(remote, s3_server):
    writer = remote.node("writer", keep_deleted="300ms")
    writer.create("docs", SCHEMA)
    replica = remote.replica("replica")
    for value in range(6):
        writer.write("docs", rows(0, 2000, value))
        until(lambda v=value: value_of(replica, "k0") == v, "each version")
    assert writer.post("/api/v1/table/docs/compact").status == 200

    def objects() -> int:
        if remote.url.startswith("file:"):
            return len(list(Path(remote.url[7:]).rglob("*.flseg")))
        selector = pyarrow.fs.FileSelector(remote.url[5:], recursive=True)
        found = s3_server.arrow().get_file_info(selector)
        return sum(info.path.endswith(".flseg") for info in found)

    def one_is_left():
        writer.write("docs", rows(0, 1, 100))  # something to publish
        time.sleep(0.2)
        return objects() <= 3

    until(one_is_left, lambda: f"{objects()} objects are left")
    until(lambda: value_of(replica, "k1999") == 5, "rows are all there")


def test_reads_of_a_replica_are_whole_while_versions_come(remote):
    writer = remote.node("writer")
    writer.create("docs", SCHEMA)
    writer.write("docs", rows(0, 3000, 0))
    replica = remote.replica("replica")
    until(lambda: value_of(replica, "k2999") == 0, "the first rows")
    done, faults, seen = threading.Event(), [], set()

    def read():
        body = {"keys": [f"k{n}" for n in range(0, 3000, 7)], "columns": ["v"]}
        last = -1
        while not done.is_set():
            shown = set(replica.post("/api/v1/table/docs/fetch", body).json["columns"]["v"])
            if len(shown) != 1 or min(shown) < last:
                faults.append((last, shown))
            last = min(shown)
            seen.update(shown)

    thread = threading.Thread(target=read)
    thread.start()
    for value in range(1, 12):
        writer.write("docs", rows(0, 3000, value))
        time.sleep(0.1)
    until(lambda: value_of(replica, "k2999") == 11, "the last rows")
    done.set()
    thread.join()
    assert faults == []
    assert len(seen) > 2


def test_the_store_away_and_back(tmp_path, own_s3_server):
    remote = Remote(tmp_path, f"s3://{BUCKET}/away", own_s3_server.env)
    try:
        writer = remote.node("writer")
        writer.create("docs", SCHEMA)
        writer.write("docs", rows(0, 5, 1))
        replica = remote.replica("replica")
        until(lambda: value_of(replica, "k0") == 1, "the first rows")
        own_s3_server.stop()
        writer.write("docs", rows(0, 5, 2))  # acknowledged by this disk
        assert value_of(writer, "k0") == 2
        assert value_of(replica, "k0") == 1
        lag = until(lambda: lag_of(writer) > 0.5 and lag_of(writer), "a lag")
        assert lag > 0.5
        own_s3_server.start()
        until(lambda: value_of(replica, "k0") == 2, "what waited", 120)
        until(lambda: lag_of(writer) == 0, "no lag")
        until(lambda: problems(writer) == problems(replica) == [], "health")
    finally:
        remote.stop()


def lag_of(node: Server) -> float:
    for line in node.get("/metrics").body.decode().splitlines():
        if line.startswith("fletching_upload_lag_seconds"):
            return float(line.split()[-1])
    raise AssertionError("the lag is not exported")
