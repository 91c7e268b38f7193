"""What goes wrong with an Iceberg table, its files and its reader: the rows there are stay."""

import os
import shutil
import signal
import sys
import textwrap
from pathlib import Path

import pytest
from pull_node import until
from s3_gateway import own_s3_server

pytest.importorskip(
    "pyiceberg.catalog.sql", reason="pyiceberg is not here: pip install -r requirements-dev.txt"
)

from iceberg_follower import Follower, follow
from iceberg_tables import Warehouse, data_files, rows

__all__ = ["follow", "own_s3_server"]


@pytest.fixture
def local(tmp_path) -> Warehouse:
    return Warehouse(tmp_path)


# What stands between the server and the real interpreter. A question is read byte by byte, so that
# the rest of stdin stays where it is.
WRAPPER = """\
#!{real} -S
import os, signal, subprocess, sys, time
real = {real!r}

def question():
    line = b""
    while not line.endswith(b"\\n"):
        line += os.read(0, 1)
    return line

def go_on(line):
    mine, theirs = os.pipe()
    os.write(theirs, line)
    os.dup2(mine, 0)
    os.set_inheritable(theirs, True)  # so that stdin does not end
    os.execv(real, [real, *sys.argv[1:]])

{script}
"""


@pytest.fixture
def python(tmp_path):
    """An interpreter that runs `script` instead of what it is told."""

    def make(script: str) -> str:
        path = tmp_path / "python"
        path.write_text(WRAPPER.format(real=sys.executable, script=textwrap.dedent(script)))
        path.chmod(0o755)
        return str(path)

    return make


def state(pid: int) -> tuple[str, int]:
    """The letter of a process's state, and its parent; ("", 0) when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "", 0
    return fields[0], int(fields[1])


def helpers(here: Follower) -> list[int]:
    """Readers that run now."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if state(pid)[1] == here.server.process.pid]


def local_path(location: str) -> Path:
    return Path(location.removeprefix("file://"))


def still_shown(here: Follower, name: str) -> None:
    assert here.generation() == name
    assert here.scores("a", "b") == [1, 2]


def test_a_metadata_file_that_is_missing(local, follow):
    table = local.create()
    table.append(rows({"a": 1, "b": 2}))
    here = follow(local, table)
    shown = here.follow(table)
    metadata = local_path(table.location()) / "metadata"
    away = metadata.with_name("away")
    metadata.rename(away)
    here.problem("holds no metadata.json of an Iceberg table")
    still_shown(here, shown)
    away.rename(metadata)
    until(lambda: here.problems() == [], "health")
    (metadata / "version-hint.text").write_text("77")
    here.problem("v77.metadata.json")
    (metadata / "version-hint.text").unlink()
    until(lambda: here.problems() == [], "health")
    # Two files of one version: without a catalog nobody knows which one is the table.
    newest = local_path(table.metadata_location)
    twin = newest.with_name(newest.name.split("-")[0] + "-twin.metadata.json")
    shutil.copy(newest, twin)
    here.problem("files of its newest version")
    (metadata / "version-hint.text").write_text(newest.name)
    until(lambda: here.problems() == [], "health")
    newest.write_text(newest.read_text()[:100])
    here.problem("Iceberg table file://")
    still_shown(here, shown)


def test_a_data_file_that_is_missing(local, follow):
    table = local.create()
    table.append(rows({"a": 1, "b": 2}))
    here = follow(local, table)
    shown = here.follow(table)
    before = set(data_files(table))
    here.server.stop()
    table.append(rows({"c": 3}))
    (path,) = set(data_files(table)) - before
    file = local_path(path)
    file.rename(file.with_suffix(".away"))
    here.start()
    here.problem(file.name)
    still_shown(here, shown)
    file.with_suffix(".away").write_bytes(b"PAR1 and no more")
    file.with_suffix(".away").rename(file)
    here.problem("Iceberg table file://")
    still_shown(here, shown)
    table.overwrite(rows({"a": 5}))
    here.follow(table)
    assert here.scores("a", "b", "c") == [5, None, None]


def test_a_snapshot_that_expires_while_it_is_read(local, follow, python, tmp_path):
    """Its reader has been told which one, and comes too late."""
    table = local.create()
    table.append(rows({"a": 1, "b": 2}))
    reached, go_on = tmp_path / "reached", tmp_path / "go-on"
    go_on.touch()
    wait = f"""
        line = question()
        if b'"action":"rows"' in line:
            open({str(reached)!r}, "w").close()
            while not os.path.exists({str(go_on)!r}):
                time.sleep(0.02)
        go_on(line)
    """
    here = follow(local, table, env={"FLETCHING_PYTHON": python(wait)})
    shown = here.follow(table)
    go_on.unlink()
    reached.unlink()
    table.overwrite(rows({"a": 7}))
    expired = table.current_snapshot().snapshot_id
    until(reached.exists, "the reader")
    gone = data_files(table)
    table.overwrite(rows({"a": 8}))
    table.maintenance.expire_snapshots().by_id(expired).commit()
    for path in gone:  # as whoever expires snapshots does
        local_path(path).unlink()
    go_on.touch()
    here.problem(local_path(gone[0]).name)
    here.follow(table)
    assert here.scores("a", "b") == [8, None]
    loaded = [event["generation"] for event in here.events("table_loaded")]
    assert loaded == [shown, here.generation()]
    until(lambda: here.problems() == [], "health")


def test_a_reader_that_is_not_installed_says_what_to_do(local, follow, tmp_path, python):
    table = local.create()
    table.append(rows({"a": 1, "b": 2}))
    here = follow(local, table)
    shown = here.follow(table)
    here.server.stop()
    # A package pyiceberg that cannot be imported stands before the real one.
    hidden = tmp_path / "hidden/pyiceberg"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'pyiceberg'\", name='pyiceberg')"
    )
    paths = {"PYTHONPATH": f"{hidden.parent}:{here.env['PYTHONPATH']}"}
    for env in (
        paths,
        {"FLETCHING_PYTHON": "/nowhere/python3"},
        {
            "FLETCHING_PYTHON": python('os.execv(real, [real, "-S", "-E", *sys.argv[1:]])')
        },  # no packages at all
    ):
        known = here.env
        here.env = {**known, **env}
        here.start()
        here.problem("pip install 'fletching[iceberg]'")
        still_shown(here, shown)
        assert here.server.stop() == 0
        here.env = known
    here.start()
    until(lambda: here.problems() == [], "health")


def test_a_reader_that_is_killed(local, follow, python, tmp_path):
    table = local.create()
    table.append(rows({"a": 1, "b": 2}))
    here = follow(local, table)
    shown = here.follow(table)
    here.server.stop()
    here.env["FLETCHING_PYTHON"] = python("time.sleep(1000)")
    here.start()
    (pid,) = until(lambda: helpers(here), "a reader")
    os.kill(pid, signal.SIGKILL)
    here.problem("its helper was ended by signal 9")
    still_shown(here, shown)


def test_a_reader_that_is_killed_in_the_middle_of_its_rows(local, follow, python):
    """Whole batches may have arrived: they are not all there is."""
    table = local.create()
    table.append(rows({"a": 1, "b": 2}))
    here = follow(local, table)
    shown = here.follow(table)
    here.server.stop()
    # All that the real one prints but for the mark at the end of the stream, then the signal.
    script = """
        line = question()
        if b'"action":"rows"' not in line:
            go_on(line)
        run = subprocess.Popen(
            [real, *sys.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        run.stdin.write(line)
        run.stdin.flush()
        os.write(1, run.stdout.read()[:-8])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    here.env["FLETCHING_PYTHON"] = python(script)
    table.append(rows({"c": 3}))
    here.start()
    here.problem("its helper was ended by signal 9")
    still_shown(here, shown)
    assert here.scores("c") == [None]


def test_a_reader_that_is_silent(local, follow, python):
    table = local.create()
    table.append(rows({"a": 1, "b": 2}))
    quick = {"timeout": "300ms"}
    here = follow(
        local,
        table,
        quick,
        env={"FLETCHING_PYTHON": python("print('hm', flush=True); time.sleep(1000)")},
    )
    here.problem("has said nothing for 300 ms, and was ended")
    assert here.server.get("/readyz").status == 503
    assert here.server.stop() == 0


def test_a_reader_that_answers_nonsense(local, follow, python):
    table = local.create()
    table.append(rows({"a": 1}))
    here = follow(local, table, env={"FLETCHING_PYTHON": python("print('{}')")})
    here.problem("its helper answers nonsense")


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL"])
def test_no_reader_outlives_the_server(local, follow, python, tmp_path, end):
    table = local.create()
    table.append(rows({"a": 1}))
    # With SIGKILL the reader sees its stdin end; with SIGTERM it is killed, whatever it does.
    script = "sys.stdin.read()" if end == "SIGKILL" else "time.sleep(1000)"
    here = follow(local, table, env={"FLETCHING_PYTHON": python(script)})
    (pid,) = until(lambda: helpers(here), "a reader")
    if end == "SIGTERM":
        assert here.server.stop() == 0
    else:
        here.server.kill()

    until(lambda: state(pid)[0] in ("", "Z"), "the reader's end")


def test_a_bucket_that_is_away(own_s3_server, follow, tmp_path):
    warehouse = Warehouse(tmp_path, own_s3_server)
    table = warehouse.create()
    table.append(rows({"a": 1, "b": 2}))
    here = follow(warehouse, table, poll_interval="100ms", iceberg={"timeout": "2s"})
    shown = here.follow(table)
    own_s3_server.stop()
    here.problem("Iceberg table s3://")
    still_shown(here, shown)
    own_s3_server.start()
    until(lambda: here.problems() == [], "health")
    table.append(rows({"c": 3}))
    here.follow(table)
    assert here.scores("c") == [3]


def test_credentials_that_are_wrong(own_s3_server, follow, tmp_path):
    warehouse = Warehouse(tmp_path, own_s3_server)
    table = warehouse.create()
    table.append(rows({"a": 1}))
    here = follow(warehouse, table, env={"AWS_SECRET_ACCESS_KEY": "guessed"})
    here.problem("Iceberg table s3://")
    assert "guessed" not in here.log()
