"""C++ calls: runs embedded_rivals, if built: RocksDB, LMDB, the engine and the bare loop."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from rivals import cases, wire
from rivals.data import SHAPES, Table
from rivals.findings import Footprint, say

STORES = "fletching,bare_loop,rocksdb,lmdb"
RIVAL_STORES = ("rocksdb", "lmdb")
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


def of_best(lines: list[dict[str, Any]], best: dict[str, str]) -> list[dict[str, Any]]:
    """Those of each store's chosen setting; of the fastest where that one cannot hold the table."""
    chosen = dict(best)
    for store in best:
        mine = [line for line in lines if line["store"] == store]
        if mine and not any(line["setting"] == best[store] for line in mine):
            chosen |= best_settings(mine)
    return [line for line in lines if chosen.get(line["store"]) == line["setting"]]


def one_axis(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without cases that differ from the base case twice, or stand there already."""
    kept = []
    for line in lines:
        is_zipf, misses = line["distribution"] == "zipf", line["miss_ratio"] > 0
        again = line["stage"].startswith("Zipf") and not (is_zipf or misses)
        if not again and not (is_zipf and misses):
            kept.append(line)
    return kept


def note_footprints(run: Any, lines: list[dict[str, Any]]) -> None:
    """Memory (files that are mapped, too) and disk of the rivals in the base case."""
    for line in lines:
        if line["stage"] == "keys" and line["keys"] == 1000 and line["store"] in RIVAL_STORES:
            raw_bytes = Table(line["rows"], SHAPES["floats10"]).raw_bytes
            sizes = (line["memory_bytes"], line["disk_bytes"], line["load_s"], raw_bytes)
            run.findings.footprints.append(Footprint(line["store"], line["rows"], *sizes))


def plan(rows: int) -> dict[str, str]:
    """Flags of each run of the program, by what it shows."""
    small, wide = cases.small_rows(rows), cases.wide_rows(rows)
    return {
        "settings": f"--rows={small} --setting=all",
        "keys": f"--rows={rows} --keys=1000,1,10,100,10000 --keep",
        "Zipf, missing keys": f"--rows={rows} --distribution=uniform,zipf --miss-ratio=0,0.1,0.98"
        " --reuse",
        "int64": f"--rows={small} --key-type=int64",
        "40 columns": f"--rows={small} --shape=floats40 --keys=200",
        "100 columns": f"--rows={small} --shape=floats100",
        "mixed": f"--rows={small} --shape=mixed",
        "10 of 500": f"--rows={wide} --shape=floats10of500",
    }


def measure_embedded(run: Any) -> None:
    """Tries every setting on the small table, then measures the best of each store."""
    if not Path(wire.program(PROGRAM)).exists():
        why = f"{PROGRAM} is not built; `make bench-rivals` builds it where RocksDB and LMDB are"
        run.findings.skipped["embedded"] = why
        say(f"skipped: embedded: {why}")
        return
    reads = 20 if run.args.smoke else 300
    common = [f"--store={STORES}", f"--rounds={run.rounds}", f"--reads={reads}"]
    found: list[dict[str, Any]] = []
    best: dict[str, str] = {}
    try:
        for what, flags in plan(run.args.rows).items():
            left = run.budget.end - time.monotonic()
            if left < 5 and not run.args.smoke:
                run.findings.skipped[f"embedded, {what}"] = "no time left"
                continue
            say(f"[{left:.0f} s left] embedded: {what}")
            chosen = [f"--setting={','.join(dict.fromkeys(best.values()))}"] if best else []
            try:
                lines = run_program(run, [*common, *flags.split(), *chosen], max(60.0, left + 60))
            except subprocess.TimeoutExpired:
                run.findings.skipped[f"embedded, {what}"] = "it took longer than the time left"
                continue
            if what == "settings":
                best = best_settings(lines)
            else:
                lines = of_best(lines, best)
            found += [{**line, "stage": what} for line in lines]
    except (RuntimeError, KeyError, json.JSONDecodeError) as error:
        run.findings.failures.append(f"embedded: {type(error).__name__}: {error}")
        say(f"  FAILED: {run.findings.failures[-1]}")
    run.findings.embedded = one_axis(found)
    note_footprints(run, found)
