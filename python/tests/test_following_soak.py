"""Eight readers beside a writer, and all of them killed again and again.

make soak S=180                        minutes of it; SEED= repeats the order of the kills
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

import fletching
import numpy as np

SOAK_S = float(os.environ.get("FLETCHING_SOAK_S", "8"))
SEED = int(os.environ.get("FLETCHING_SOAK_SEED", "0")) or time.time_ns() % 1_000_000
READERS = 8
BASE_ROWS = 200_000

# Every batch of "t" gives all keys one number, larger than the one before; rows of "base" are
# written again as they are, so that its segments come and go under the readers.
WRITER = f"""
import sys, time
import fletching, numpy as np
db = fletching.open(sys.argv[1], "w")
keys = np.arange(200)
count = 0
while True:
    db.write("t", {{"id": keys, "at": np.full(200, time.time_ns())}})
    first = count * 7919 % ({BASE_ROWS} - 5000)
    ids = np.arange(first, first + 5000)
    db.write("base", {{"id": ids, "x": ids * 3, "text": [f"text {{n}}" for n in ids]}})
    count += 1
    if count % 40 == 0:
        db.compact("t")
        db.compact("base")
    time.sleep(0.005)
"""

# Ends at SIGTERM and says what it saw. Opens the folder anew now and then.
READER = f"""
import json, signal, sys
import fletching, numpy as np
is_told = []
signal.signal(signal.SIGTERM, lambda *_: is_told.append(1))
print("begun", flush=True)
draw = np.random.default_rng(int(sys.argv[3]))
keys = np.arange(200)
last, seen, rounds, faults = 0, 0, 0, []
db = fletching.open(sys.argv[1], "r", memory_budget_bytes=int(sys.argv[2]))
while not is_told and not faults:
    at = db.read("t", keys).to_arrow()["at"].to_numpy()
    if at.min() != at.max():
        faults.append("half a write")
    if at[0] < last:
        faults.append(f"an older write: {{at[0]}} after {{last}}")
    seen += int(at[0] > last)
    last = int(at[0])
    ids = draw.integers(0, {BASE_ROWS * 11 // 10}, 300)
    rows = db.read("base", ids).to_arrow()
    expected = [int(n) * 3 if n < {BASE_ROWS} else None for n in ids]
    texts = [f"text {{n}}" if n < {BASE_ROWS} else None for n in ids]
    if rows["x"].to_pylist() != expected or rows["text"].to_pylist() != texts:
        faults.append("other rows")
    rounds += 1
    if rounds % 500 == 0:
        db.close()
        db = fletching.open(sys.argv[1], "r", memory_budget_bytes=int(sys.argv[2]))
print(json.dumps({{"faults": faults, "seen": seen, "rounds": rounds}}))
"""


def start(code: str, *args: object) -> subprocess.Popen:
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def end(reader: subprocess.Popen) -> dict:
    """Told to end, once it has begun; what it saw."""
    assert reader.stdout.readline() == "begun\n"
    reader.send_signal(signal.SIGTERM)
    said = json.loads(reader.communicate(timeout=60)[0])
    assert said["faults"] == [], said
    return said


def test_readers_and_the_writer_are_killed_again_and_again(tmp_path):
    print(f"seed {SEED}, {SOAK_S} s")
    draw = random.Random(SEED)
    path = tmp_path / "features"
    ids = np.arange(BASE_ROWS)
    with fletching.open(path) as db:
        db.write("t", {"id": np.arange(200), "at": np.zeros(200, np.int64)}, key="id")
        texts = [f"text {n}" for n in ids]
        db.write("base", {"id": ids, "x": ids * 3, "text": texts}, key="id")

    def reader() -> subprocess.Popen:  # half of them have no room for all rows
        return start(READER, path, draw.choice([0, 4 << 20]), draw.randrange(1 << 30))

    readers = [reader() for _ in range(READERS)]
    writer = start(WRITER, path)
    killed, writers, seen, rounds = 0, 1, 0, 0
    try:
        until = time.monotonic() + SOAK_S
        next_writer = time.monotonic() + 3
        while time.monotonic() < until:
            time.sleep(draw.uniform(0.1, 1.0))
            at = draw.randrange(READERS)
            assert readers[at].poll() is None, readers[at].communicate()
            if draw.random() < 0.5:
                readers[at].kill()
                readers[at].wait()
                readers[at].stdout.close()
                killed += 1
            else:
                said = end(readers[at])
                seen += said["seen"]
                rounds += said["rounds"]
            readers[at] = reader()
            if time.monotonic() > next_writer:
                assert writer.poll() is None, "the writer ended by itself"
                writer.kill()
                writer.wait()
                writer.stdout.close()
                writer = start(WRITER, path)
                writers += 1
                next_writer = time.monotonic() + draw.uniform(1, 4)
        time.sleep(2)
        for one in readers:
            said = end(one)
            seen += said["seen"]
            rounds += said["rounds"]
    finally:
        for one in [*readers, writer]:
            one.kill()
            one.wait()
    print(f"{killed} readers killed, {writers} writers; {rounds} rounds saw {seen} writes")
    assert seen > 10
    with fletching.open(path) as db:
        rows = db.read("base", ids).to_arrow()
        assert rows["x"].to_pylist() == (ids * 3).tolist()
