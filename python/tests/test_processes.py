"""A database in several processes: forks, spawned workers, a writer and readers beside it."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import fletching
import numpy as np
import pyarrow as pa
import pytest

COUNT = 5000
ROWS = pa.table({"id": np.arange(COUNT), "x": np.arange(COUNT) * 2.0})


@pytest.fixture
def filled(db):
    db.write("n", ROWS, key="id")
    return db


def read_some(db, start):
    keys = np.arange(start, start + 100)
    return bool((db.read_matrix("n", keys, dtype=np.float64)[:, 0] == keys * 2.0).all())


def in_child(call):
    """What `call` returns in a forked child, and the child's exit status."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = "ended"
        try:
            code = call()
        finally:
            os.write(writer, repr(code).encode())
            os._exit(0)
    os.close(writer)
    text = os.read(reader, 65536).decode()
    os.close(reader)
    return text, os.waitpid(child, 0)[1]


def test_a_child_of_a_fork_reads(filled):
    for start in range(0, 500, 100):
        assert in_child(lambda start=start: read_some(filled, start)) == ("True", 0)
    filled.write("n", {"id": [COUNT], "x": [1.0]})  # the parent is still the writer
    assert read_some(filled, 0)


def test_a_child_of_a_busy_parent_reads(filled):
    """Forks in the middle of whatever other threads hold."""
    stop = threading.Event()

    def write():
        number = COUNT
        while not stop.is_set():
            number += 1
            filled.write("n", {"id": [number], "x": [number * 2.0]})

    def read():
        while not stop.is_set():
            assert read_some(filled, 1000)

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert in_child(lambda: read_some(filled, 0)) == ("True", 0)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_child_may_not_write_beside_its_parent(filled):
    def write():
        try:
            filled.write("n", {"id": [1], "x": [1.0]})
        except fletching.LockedError as error:
            return f"pid {os.getppid()}" in str(error)

    assert in_child(write) == ("True", 0)


def test_a_child_writes_where_its_parent_only_read(tmp_path):
    with fletching.open(tmp_path / "f") as db:
        db.write("n", ROWS, key="id")
    with fletching.open(tmp_path / "f") as reading:
        assert read_some(reading, 0)

        def write():
            return reading.write("n", {"id": [COUNT], "x": [1.0]}).row_count

        assert in_child(write) == ("1", 0)


def test_a_lock_does_not_outlive_its_holder_in_children(tmp_path):
    """A child that lives on after its parent was killed must not keep others from writing."""
    program = f"""
import fletching, os, sys, time
db = fletching.open({str(tmp_path / "f")!r}, mode="w")
db.create_table("n", {{"id": "int64"}}, key="id")
if os.fork() == 0:
    time.sleep(60)
print(os.getpid(), flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert parent.stdout.readline().strip() == str(parent.pid)
        parent.kill()
        parent.wait()
        with fletching.open(tmp_path / "f", mode="w") as db:
            assert db.write("n", {"id": [1]}).row_count == 1
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.stdout.close()


def test_a_child_can_close_and_a_closed_one_stays_closed(filled):
    def close():
        filled.close()
        try:
            filled.tables()
        except fletching.InvalidArgumentError:
            return "closed"

    assert in_child(close) == ("'closed'", 0)
    assert read_some(filled, 0)
    filled.close()

    def use():
        try:
            filled.tables()
        except fletching.InvalidArgumentError:
            return "closed"

    assert in_child(use) == ("'closed'", 0)


def test_a_child_that_ends_the_ordinary_way_ends(filled):
    """Exit handlers and destructors of a child find none of the parent's threads to wait for."""
    program = f"""
import fletching, os, sys
db = fletching.open({filled.path!r}, mode="r")
child = os.fork()
if child == 0:
    db.read("n", [1])
    sys.exit(7)
status = os.waitpid(child, 0)[1]
child = os.fork()
if child == 0:
    sys.exit(8)
print(os.waitstatus_to_exitcode(status), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "7 8\n", done.stderr


def test_pickles_as_path_and_mode(filled, tmp_path, monkeypatch):
    filled.write("n", {"id": [COUNT], "x": [5.0]})
    pickled = pickle.dumps(filled)
    monkeypatch.chdir(tmp_path)  # a relative path would lead elsewhere now
    again = pickle.loads(pickled)
    assert read_some(again, 0)
    assert again.mode == "a"


def check(task):
    db, start = task
    return read_some(db, start)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_workers(filled, method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map(check, [(filled, start) for start in range(0, 1000, 100)])
    assert results == [True] * 10


def test_a_reader_opens_beside_the_writer(filled):
    program = f"""
import fletching
db = fletching.open({filled.path!r}, mode="r")
print(db.read("n", [7], ["x"]).to_arrow()["x"][0])
try:
    db.write("n", {{"id": [1], "x": [1.0]}})
except fletching.FletchingError as error:
    print(type(error).__name__)
try:
    fletching.open({filled.path!r}, mode="w")
except fletching.LockedError as error:
    print("mode=\\"r\\"" in str(error) or str(error))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[0] == "14.0", done.stderr
    assert done.stdout.splitlines()[2] == "True", done.stdout


LONG_CALLS = {
    "read": "db.read('n', numpy.zeros(60_000_000, numpy.int64), ['x'])",
    "read_many": "db.read_many([('n', numpy.zeros(60_000_000, numpy.int64), ['x'])])",
    "scan": "[db.scan('n').read_all() for _ in range(100_000)]",
    "write": "db.write('n', endless())",
    "compact": "[db.compact('n') for _ in range(100_000)]",
}

INTERRUPTED = """
import fletching, numpy, pyarrow, signal, time

def endless():
    schema = pyarrow.schema({{"id": pyarrow.int64(), "x": pyarrow.float64()}})
    numbers = numpy.arange(10_000) + 1_000_000
    batch = pyarrow.record_batch({{"id": numbers, "x": numbers * 2.0}})
    return pyarrow.RecordBatchReader.from_batches(schema, iter(lambda: batch, None))

db = fletching.open({path!r})
signal.signal(signal.SIGINT, signal.default_int_handler)
print("ready", flush=True)
try:
    {call}
    print("not interrupted")
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), db.read("n", [1_000_000]).found_count, flush=True)
"""


@pytest.mark.parametrize("call", LONG_CALLS)
def test_ctrl_c_ends_a_long_call(tmp_path, call):
    path = str(tmp_path / "f")
    with fletching.open(path) as db:
        db.write("n", ROWS, key="id")
    program = INTERRUPTED.format(path=path, call=LONG_CALLS[call])
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    time.sleep(1.0)
    child.send_signal(signal.SIGINT)
    sent = time.monotonic()
    out, _ = child.communicate(timeout=120)
    word, heard, written = out.split()
    print(f"{call}: interrupted after {float(heard) - sent:.3f} s")
    assert word == "interrupted"
    assert written == "0"  # of the endless write, nothing
