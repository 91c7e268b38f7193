#!/usr/bin/env python3
"""Many processes over one folder: what they hold in memory together, and how soon they see a write.

    make bench B=processes               2 M rows, eight readers; about a minute
    bench/processes_bench.py --smoke     seconds; shows that it works, measures nothing

Bars:
    memory of eight readers     <= 1.5 x that of one, by PSS, after each has read every value
    a write seen by a reader    within 100 ms (p99 of first sights, writer and readers on all cores)
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import fletching
import numpy as np
import pyarrow as pa

READERS = 8
COLUMNS = 10

# Reads every value once and says so; then, until told to end, how late it sees each write.
READER = """
import json, sys, time
import fletching, numpy as np
db = fletching.open(sys.argv[1], "r")
total = 0.0
for batch in db.scan("rows"):
    total += sum(np.asarray(column).sum() for column in batch.columns[1:])
print(json.dumps({"sum": float(total)}), flush=True)
sys.stdin.readline()
lags_ms, last, end = [], 0, time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    at = int(db.read("beat", [0]).to_arrow()["at"][0].as_py())
    if at > last:
        lags_ms.append((time.monotonic_ns() - at) / 1e6)
        last = at
    time.sleep(0.001)
print(json.dumps(lags_ms[1:]), flush=True)
sys.stdin.readline()
"""

WRITER = """
import sys, time
import fletching
db = fletching.open(sys.argv[1], "w")
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    db.write("beat", {"id": [0], "at": [time.monotonic_ns()]}, key="id")
    time.sleep(0.05)
"""


def start(code: str, path: Path, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-c", code, str(path), str(seconds)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def segment_pss_bytes(process: subprocess.Popen) -> tuple[int, int]:
    """PSS and RSS of what a process maps of the folder's segments."""
    pss = rss = 0
    is_segment = False
    for line in Path(f"/proc/{process.pid}/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            is_segment = line.endswith(".flseg")
        elif is_segment and line.startswith("Pss:"):
            pss += int(line.split()[1]) * 1024
        elif is_segment and line.startswith("Rss:"):
            rss += int(line.split()[1]) * 1024
    return pss, rss


def verdict(is_good: bool) -> str:
    return "ok" if is_good else "MISSED"


def end(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        process.stdin.close()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    args = parser.parse_args()
    rows = 20_000 if args.smoke else 2_000_000
    seconds = 4 if args.smoke else 20
    with tempfile.TemporaryDirectory(prefix="fletching-processes-bench-") as folder:
        path = Path(folder) / "features"
        values = np.arange(rows, dtype=np.float32)
        table = {"id": np.arange(rows), **{f"f{n}": values + n for n in range(COLUMNS)}}
        with fletching.open(path, "w") as db:
            db.write("rows", pa.table(table), key="id")
            db.write("beat", {"id": [0], "at": [0]}, key="id")
            db.compact("rows")
        expected = sum(float((values + n).astype(np.float64).sum()) for n in range(COLUMNS))
        readers = [start(READER, path, seconds) for _ in range(READERS)]
        sums = [json.loads(reader.stdout.readline())["sum"] for reader in readers]
        assert all(abs(found / expected - 1) < 1e-3 for found in sums), sums
        memory = [segment_pss_bytes(reader) for reader in readers]
        together = sum(pss for pss, _ in memory)
        alone = max(rss for _, rss in memory)
        ratio = together / alone
        print(
            f"segments in {READERS} readers: {together / 1e6:.1f} MB together (PSS), "
            f"{alone / 1e6:.1f} MB in one; {ratio:.2f} x, bar 1.5 {verdict(ratio <= 1.5)}"
        )
        writer = start(WRITER, path, seconds)
        for reader in readers:
            reader.stdin.write("go\n")
            reader.stdin.flush()
        lags = sorted(lag for reader in readers for lag in json.loads(reader.stdout.readline()))
        end([*readers, writer])
        p50, p99 = lags[len(lags) // 2], lags[int(len(lags) * 0.99)]
        print(
            f"a write is seen after {p50:.1f} ms (p50), {p99:.1f} (p99), {lags[-1]:.1f} (max); "
            f"{len(lags)} first sights; bar 100 {verdict(p99 <= 100)}"
        )
        print(
            json.dumps(
                {
                    "bench": "processes",
                    "pss_ratio": ratio,
                    "seen_p50_ms": p50,
                    "seen_p99_ms": p99,
                }
            )
        )


if __name__ == "__main__":
    main()
