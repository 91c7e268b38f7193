"""Readers beside a writer, each a process of its own: what is committed is seen by all, whole."""

import json
import signal
import subprocess
import sys
import time

import fletching
import numpy as np
import pyarrow as pa
import pytest

KEYS = 200
READERS = 8

# Every batch gives all keys one number, which is the time of the write.
WRITER = """
import sys, time
import fletching, numpy as np
db = fletching.open(sys.argv[1], "w")
keys = np.arange(200)
end = time.monotonic() + float(sys.argv[2])
count = 0
while time.monotonic() < end:
    db.write("t", {"id": keys, "at": np.full(200, time.monotonic_ns())}, key="id")
    count += 1
    if count % 50 == 0:
        db.compact("t")
    time.sleep(0.002)
print(count)
"""

# Answers must be of one write, and never of an older one than before.
READER = """
import json, sys, time
import fletching, numpy as np
db = fletching.open(sys.argv[1], "r")
keys = np.arange(200)
end = time.monotonic() + float(sys.argv[2])
last, seen, lags_ms, faults = 0, 0, [], []
while time.monotonic() < end:
    at = db.read_matrix("t", keys, dtype=np.float64)[:, 0]
    whole = db.read("t", keys).to_arrow()["at"].to_numpy()
    now = time.monotonic_ns()
    if whole.min() != whole.max() or len(set(at)) != 1:
        faults.append("half a write")
    if whole[0] < last:
        faults.append("an older write")
    if whole[0] > last:
        last = int(whole[0])
        seen += 1
        lags_ms.append((now - last) / 1e6)
lags_ms.sort()
print(json.dumps({"faults": faults[:5], "seen": seen, "last": last,
                  "lag_p50_ms": lags_ms[len(lags_ms) // 2], "lag_max_ms": lags_ms[-1]}))
"""


def start(code: str, path, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-c", code, str(path), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_many_readers_see_every_write_whole(tmp_path):
    """One reader and the writer are killed on the way; a new writer is followed."""
    path = tmp_path / "features"
    with fletching.open(path) as db:
        db.write("t", {"id": np.arange(KEYS), "at": np.zeros(KEYS, np.int64)}, key="id")
    readers = [start(READER, path, 6) for _ in range(READERS)]
    writer = start(WRITER, path, 60)
    time.sleep(2)
    readers[0].send_signal(signal.SIGKILL)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer = start(WRITER, path, 2)
    said = [json.loads(reader.communicate()[0]) for reader in readers[1:]]
    written = int(writer.communicate()[0])
    print(said)
    assert written > 5
    for reader in said:
        assert reader["faults"] == []
        assert reader["seen"] > 5
    readers[0].wait()
    # What the last writer left is what a reader shows that opens now, and one that stayed.
    with fletching.open(path, "r") as late:
        newest = late.read("t", np.arange(KEYS)).to_arrow()["at"].to_numpy()
        assert newest.min() == newest.max()


def until(condition, seconds: float = 30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_reader_sees_tables_come_change_and_go(tmp_path):
    writer = fletching.open(tmp_path, "w")
    reader = fletching.open(tmp_path, "r")
    assert reader.tables() == []
    writer.write("a", {"id": [1], "x": [1.0]}, key="id")
    until(lambda: "a" in reader and reader.read("a", [1]).to_arrow()["x"][0].as_py() == 1.0)
    writer.write("a", {"id": [1], "x": [2.0]}, mode="patch")
    until(lambda: reader.read("a", [1]).to_arrow()["x"][0].as_py() == 2.0)
    writer.delete("a", [1])
    until(lambda: reader.read("a", [1]).to_arrow()["x"][0].as_py() is None)
    big = pa.table({"id": np.arange(2, 100_000), "x": np.ones(99_998)})
    writer.write("a", big)
    until(lambda: reader.read("a", [99_999]).to_arrow()["x"][0].as_py() == 1.0)
    writer.drop("a")
    until(lambda: "a" not in reader)
    with pytest.raises(fletching.NotFoundError):
        reader.read("a", [1])
    reader.close()
    writer.close()
