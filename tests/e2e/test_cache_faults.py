"""What goes wrong around a replica's cache: starts that fail, full disks, stores that hang."""

import signal
import socket
import subprocess
import threading

import numpy as np
import pyarrow as pa
import pytest
from conftest import Server, daemon_path
from fault_proxy import proxy
from pull_node import until
from s3_gateway import prefix, s3_server
from test_cache import COUNT, MIB, check, disk_bytes, is_ready, whole_segments, write
from test_remote import folder_remote, problems, s3_remote, small_disk

__all__ = ["folder_remote", "prefix", "proxy", "s3_remote", "s3_server"]


@pytest.fixture
def remote(folder_remote):
    return folder_remote


@pytest.mark.parametrize("role", ["writer", "replica"])
def test_a_start_that_fails_after_the_remote_was_joined_ends_with_its_error(remote, role):
    """The engine goes before the threads that publish or follow with it."""
    writer = remote.node("writer", acknowledge="remote")
    write(writer, "docs", 1, 1000)
    writer.stop()
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    command = [daemon_path(), "--data-dir", remote.folder / role, "--remote", remote.url]
    command += ["--remote-role", role, "--flight", "off", "--http", f"127.0.0.1:{port}"]
    ended = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    taken.close()
    assert ended.returncode > 0, f"ended by signal {-ended.returncode}: {ended.stderr[-500:]}"
    assert str(port) in ended.stderr


@pytest.mark.parametrize("slash", ["", "/"])
def test_use_is_seen_below_a_data_folder_named_with_a_slash(remote, slash):
    """Else nothing is ever in use: the hot segment stays partial, and goes first."""
    writer = remote.node("writer", acknowledge="remote")
    write(writer, "cold", 1)
    write(writer, "hot", 2)
    one = disk_bytes(remote.folder / "writer") // 2
    folder = f"{remote.folder}/replica{slash}"
    replica = remote.replica("replica", cache=f"{one * 3 // 2}B")
    until(lambda: is_ready(replica), "readiness")
    replica.stop()
    flags = ["--remote", remote.url, "--remote-role", "replica", "--data-dir", folder]
    flags += ["--remote-poll-interval", "50ms", "--remote-cache", f"{one * 3 // 2}B"]
    again = Server(remote.folder / "replica", *flags)
    remote.nodes.append(again)

    def the_hot_one_is_whole() -> bool:
        check(again, [1, 2, 3], 2, "hot")
        return bool(list((remote.folder / "replica/tables/00000002").glob("*.flseg")))

    until(the_hot_one_is_whole, "the segment in use to be fetched whole", 30)


def test_a_part_that_a_power_loss_cut_short_is_made_anew(remote):
    """Its length was never synced."""
    writer = remote.node("writer", acknowledge="remote")
    write(writer, "docs", 1, 5000)
    replica = remote.replica("replica", lazy="true")
    until(lambda: is_ready(replica), "readiness")
    replica.stop()
    (piece,) = (remote.folder / "replica/tables").rglob("*.flcache")
    piece.open("wb").close()
    again = remote.replica("replica", lazy="true")

    def answers() -> bool:
        body = {"keys": ["k1"], "columns": ["f0"]}
        return again.post("/api/v1/table/docs/fetch", body).status == 200

    until(answers, "the table", 20)


def test_a_footer_that_was_lost_does_not_fetch_the_whole_segment(remote):
    """What it says is followed before its checksum is asked."""
    writer = remote.node("writer", acknowledge="remote")
    write(writer, "docs", 1)
    whole = disk_bytes(remote.folder / "writer")
    replica = remote.replica("replica", lazy="true")
    until(lambda: is_ready(replica), "readiness")
    replica.stop()
    folder = remote.folder / "replica"
    assert disk_bytes(folder) < whole / 8
    (piece,) = (folder / "tables").rglob("*.flcache")
    with piece.open("r+b") as file:
        file.seek(-4096, 2)
        file.write(b"\0" * 4096)
    again = remote.replica("replica", lazy="true")
    until(lambda: is_ready(again), "readiness")
    check(again, [1], 1)
    assert disk_bytes(folder) < whole / 2, f"{disk_bytes(folder)} of {whole}"


def test_a_new_root_after_a_restart_keeps_to_the_budget(remote):
    """The first look counts nothing of what is here."""
    writer = remote.node("writer", acknowledge="remote")
    write(writer, "a", 1)
    one = disk_bytes(remote.folder / "writer")
    budget = f"{one * 3 // 2}B"
    replica = remote.replica("replica", cache=budget)
    until(lambda: is_ready(replica), "readiness")
    assert whole_segments(remote.folder / "replica") == 1
    replica.stop()
    write(writer, "b", 2)
    folder = remote.folder / "replica"
    # Polls are far apart, so that what the first look does can be seen.
    flags = {"cache": budget}
    again = remote.replica("replica", **flags)
    high = 0

    def ready() -> bool:
        nonlocal high
        high = max(high, disk_bytes(folder))
        return is_ready(again) and again.get("/api/v1/table/b").status == 200

    until(ready, "readiness")
    high = max(high, disk_bytes(folder))
    assert high <= one * 3 // 2 + MIB, f"{high} of {one * 3 // 2}"


def test_a_download_that_failed_keeps_what_came(remote):
    """With a cache, too: else a root of many segments never comes through a bad network."""
    writer = remote.node("writer", acknowledge="remote")
    write(writer, "docs", 1, 1000)
    replica = remote.replica("replica", cache="1GiB")
    until(lambda: is_ready(replica), "readiness")
    replica.process.send_signal(signal.SIGSTOP)
    before = set((remote.folder / "remote").rglob("*.flseg"))
    for version in range(2, 5):
        write(writer, "docs", version, 1000 * version)
    writer.stop()
    fresh = set((remote.folder / "remote").rglob("*.flseg")) - before
    newest = max(fresh, key=lambda path: path.stat().st_mtime_ns)
    newest.rename(newest.with_suffix(".away"))
    replica.process.send_signal(signal.SIGCONT)
    seen = set()

    def has_seen_a_few_looks() -> bool:
        seen.update(path.name for path in (remote.folder / "replica/tables").rglob("*.flseg"))
        return len(seen) > len(before) + len(fresh)

    with pytest.raises(AssertionError, match="did not come about"):
        until(has_seen_a_few_looks, lambda: f"{sorted(seen)}", 4)
    newest.with_suffix(".away").rename(newest)
    until(lambda: problems(replica) == [], "the next root")
    check(replica, [1], 4)


def test_a_dropped_segment_is_not_dropped_again(remote):
    """The column table of a wide table is more than what is taken to stay."""
    writer = remote.node("writer", acknowledge="remote")
    names = [f"a_feature_with_a_rather_long_name_{n:04}" for n in range(1500)]
    columns = {name: {"dtype": "float32"} for name in names}
    schema = {"columns": {"id": {"dtype": "utf8", "key": True, "nullable": False}, **columns}}
    writer.create("wide", schema)
    numbers = np.arange(200)
    rows = {name: (numbers + i).astype(np.float32) for i, name in enumerate(names)}
    table = pa.table({"id": [f"k{n}" for n in numbers], **rows})
    assert writer.write("wide", table).status == 200
    replica = remote.replica("replica", cache="64KiB")
    until(lambda: is_ready(replica), "readiness")
    seen = set()

    def was_rewritten() -> bool:
        seen.update(path.name for path in (remote.folder / "replica/tables").rglob("*.flman"))
        return len(seen) > 5

    with pytest.raises(AssertionError, match="did not come about"):
        until(was_rewritten, lambda: f"{sorted(seen)}", 4)


def test_a_disk_that_is_smaller_than_the_budget(remote, tmp_path):
    """Whole segments that do not fit the disk come as parts, and room is made."""
    writer = remote.node("writer", acknowledge="remote")
    for number, name in enumerate(["a", "b", "c"]):
        write(writer, name, number)
    whole = disk_bytes(remote.folder / "writer")
    with small_disk(tmp_path / "replica", whole // 2 + 2 * MIB, remote):
        replica = remote.replica("replica", cache=f"{whole * 2}B")
        until(lambda: is_ready(replica), "readiness", 20)
        for number, name in enumerate(["a", "b", "c"]):
            assert replica.get(f"/api/v1/table/{name}").status == 200
            check(replica, [1, COUNT - 1], number, name)
        replica.stop()


def test_reads_of_what_is_here_do_not_wait_for_those_that_hang(s3_remote, proxy):
    """Look-ups that wait for the remote hold every worker; those that need none stand behind."""
    writer = s3_remote.node("writer", acknowledge="remote")
    write(writer, "docs", 1)
    replica = s3_remote.replica("replica", endpoint=proxy.endpoint, lazy="true")
    until(lambda: is_ready(replica), "readiness")
    check(replica, [1], 1)
    proxy.clear()
    proxy.plan("(GET|HEAD)", r"flseg", hang=True, times=10_000)
    hanging, ended = 100, []

    def ask(number: int) -> None:
        body = {"keys": [f"k{20_000 + 300 * number}"], "columns": ["f0"]}
        answer = replica.post("/api/v1/table/docs/fetch", body)
        assert answer.status == 503
        if "too many reads wait" not in answer.error:
            ended.append(number)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(hanging)]
    for thread in threads:
        thread.start()
    until(lambda: sum("flseg" in seen.target for seen in proxy.seen) > 40, "waiters")
    check(replica, [1], 1)
    before = len(ended)
    for thread in threads:
        thread.join()
    assert before < 10, f"{before} of {hanging} had to end first"


@pytest.mark.parametrize("when", ["start", "running"])
def test_a_table_that_could_not_be_opened_is_opened_later(s3_remote, proxy, when):
    """The store was away for the moment in which a new table's ends were to come."""
    writer = s3_remote.node("writer", acknowledge="remote")
    if when == "running":
        write(writer, "first", 1, 1000)
        replica = s3_remote.replica("replica", endpoint=proxy.endpoint, lazy="true")
        until(lambda: is_ready(replica), "readiness")
        replica.process.send_signal(signal.SIGSTOP)
    proxy.clear()
    proxy.plan("(GET|HEAD)", r"flseg", answer=403, answer_code="AccessDenied", times=100_000)
    write(writer, "docs", 1, 1000)
    if when == "start":
        replica = s3_remote.replica("replica", endpoint=proxy.endpoint, lazy="true")
    else:
        replica.process.send_signal(signal.SIGCONT)
    until(lambda: sum("flseg" in seen.target for seen in proxy.seen) >= 5, "some tries")
    until(lambda: problems(replica), "health")
    proxy.clear()
    body = {"keys": ["k1"], "columns": ["f0"]}
    answers = []

    def answers_well() -> bool:
        answers.append(replica.post("/api/v1/table/docs/fetch", body))
        return answers[-1].status == 200

    until(answers_well, lambda: f"{answers[-1]} {problems(replica)}", 15)
