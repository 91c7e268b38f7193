"""C++ calls: runs embedded_rivals, if built: RocksDB, LMDB, the engine and the bare loop."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from rivals import cases, wire
from rivals.findings import say

STORES = "fletching,bare_loop,rocksdb,lmdb"
PROGRAM = "embedded_rivals"


def run_program(run: Any, flags: list[str], seconds: float) -> list[dict[str, Any]]:
    """-> the JSON lines. Errors: RuntimeError with what the program says."""
    folder = run.work / "embedded"
    folder.mkdir(exist_ok=True)
    command = [str(wire.program(PROGRAM)), f"--dir={folder}", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-400:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def best_settings(lines: list[dict[str, Any]]) -> dict[str, str]:
    """The fastest setting of each store, by p50."""
    best: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line["store"] not in best or line["p50_us"] < best[line["store"]]["p50_us"]:
            best[line["store"]] = line
    return {store: line["setting"] for store, line in best.items()}


def measure_embedded(run: Any) -> None:
    """Tries every setting on the small table, then measures the best of each store."""
    if not Path(wire.program(PROGRAM)).exists():
        why = f"{PROGRAM} is not built; `make bench-rivals` builds it where RocksDB and LMDB are"
        run.findings.skipped["embedded"] = why
        say(f"skipped: embedded: {why}")
        return
    rows, args = run.args.rows, run.args
    reads = 20 if args.smoke else 300
    common = [f"--store={STORES}", f"--rounds={run.rounds}", f"--reads={reads}"]
    base = ["--shape=floats10", "--key-type=utf8"]
    one = ["--keys=1000", "--distribution=uniform", "--miss-ratio=0"]
    small, wide = cases.small_rows(rows), cases.wide_rows(rows)

    def tell(what: str, flags: list[str]) -> list[dict[str, Any]]:
        left = run.budget.end - time.monotonic()
        say(f"[{left:.0f} s left] embedded: {what}")
        return run_program(run, [*common, *flags], max(60.0, left + 60))

    try:
        tried = tell("settings", [*base, *one, f"--rows={small}", "--setting=all"])
        best = best_settings(tried)
        setting = f"--setting={','.join(dict.fromkeys(best.values()))}"
        plan = [
            ("keys", [*base, *one, f"--rows={rows}", "--keys=1000,1,10,100,10000"]),
            (
                "Zipf, missing keys",
                [
                    *base,
                    f"--rows={rows}",
                    "--keys=1000",
                    "--distribution=uniform,zipf",
                    "--miss-ratio=0,0.1,0.98",
                ],
            ),
            ("int64", ["--shape=floats10", "--key-type=int64", *one, f"--rows={small}"]),
            (
                "40 columns",
                ["--shape=floats40", *base[1:], *one[1:], "--keys=200", f"--rows={small}"],
            ),
            ("100 columns", ["--shape=floats100", *base[1:], *one, f"--rows={small}"]),
            ("mixed", ["--shape=mixed", *base[1:], *one, f"--rows={small}"]),
            ("10 of 500", ["--shape=floats10of500", *base[1:], *one, f"--rows={wide}"]),
        ]
        found = [{**line, "stage": "settings"} for line in tried]
        for what, flags in plan:
            if run.budget.end - time.monotonic() < 5 and not args.smoke:
                run.findings.skipped[f"embedded, {what}"] = "no time left"
                continue
            lines = tell(what, [*flags, setting])
            kept = [line for line in lines if best.get(line["store"]) == line["setting"]]
            found += [{**line, "stage": what} for line in kept]
        run.findings.embedded = found
    except (RuntimeError, subprocess.TimeoutExpired, KeyError, json.JSONDecodeError) as error:
        run.findings.failures.append(f"embedded: {type(error).__name__}: {error}")
        say(f"  FAILED: {run.findings.failures[-1]}")
