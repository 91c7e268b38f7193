"""`fletching bench`: what to expect of this machine, in a minute."""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import fletching
from fletching._frames import as_source
from fletching._load import Progress

if TYPE_CHECKING:
    from fletching import Database

EXAMPLES = """\
  fletching bench
  fletching bench --rows 10000000 --columns 50 --keys 500
  fletching bench --path features --table docs

Without --path a table of float32 columns and utf8 keys is made in a temporary folder (TMPDIR picks
the disk) and removed afterwards. With --path nothing is written. Keys are drawn at random from the
whole table, anew for each read; reads are of all columns, one at a time, in this one thread."""

_BATCH_ROWS = 200_000
_POOL_KEYS = 1_000_000  # of a table that is there, keys are drawn from about so many


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=_count, default=1_000_000, help="default: 1000000")
    parser.add_argument("--columns", type=_count, default=10, help="default: 10")
    parser.add_argument("--keys", type=_count, default=1000, help="of one read (default: 1000)")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="for each kind of read (default: 3)"
    )
    parser.add_argument("--path", metavar="DATA_DIR", help="read a table that is there")
    parser.add_argument("--table", help="which one; may be left out where there is one only")
    parser.add_argument("--json", action="store_true", help="answer in JSON, for programs")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _count(text: str) -> int:
    value = int(text.replace("_", "").replace(",", ""))
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def run(options: argparse.Namespace) -> int:
    if options.path is not None:
        with fletching.open(options.path, "r") as db:
            name = _only_table(db, options.table)
            _show(options, _measure(options, db, name, _existing_keys(db, name)))
        return 0
    if options.table is not None:
        raise fletching.InvalidArgumentError("--table wants --path, the folder with it")
    _check_space(options)
    with tempfile.TemporaryDirectory(prefix="fletching-bench-") as folder:
        try:
            with fletching.open(folder) as db:
                keys = _keys(np.arange(options.rows))
                load = _load(options, db, keys)
                _show(options, load | _measure(options, db, "bench", keys))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{folder} is removed again") from None
    return 0


def _check_space(options: argparse.Namespace) -> None:
    """Raw data, the log of the last writes and the copy that compaction makes."""
    wanted = 3 * options.rows * (4 * options.columns + 24)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise fletching.StorageFullError(
            f"{folder} has {free / 2**30:,.1f} GiB free, and this may take "
            f"{wanted / 2**30:,.1f} GiB; take fewer --rows, or a larger disk with TMPDIR"
        )


def _only_table(db: "Database", name: str | None) -> str:
    names = [table.name for table in db.tables()]
    if name is None and len(names) != 1:
        raise fletching.InvalidArgumentError(
            f"say which table with --table: {', '.join(names) or 'there is none'}"
        )
    return name or names[0]


def _existing_keys(db: "Database", name: str) -> pa.Table:
    """Keys of the whole table, or every so many of them where it is large."""
    info = db.table(name)
    step = max(1, info.row_count // _POOL_KEYS)
    batches = [
        batch.take(pa.array(np.arange(0, batch.num_rows, step)))
        for batch in db.scan(name, info.key)
        if batch.num_rows
    ]
    if not batches:
        raise fletching.InvalidArgumentError(f"table '{name}' has no rows to read")
    return pa.Table.from_batches(batches).combine_chunks()


def _keys(numbers: np.ndarray) -> pa.Table:
    return pa.table({"key": pa.array(numbers).cast(pa.string())})


# -- loading ------------------------------------------------------------------------------------


def _load(options: argparse.Namespace, db: "Database", keys: pa.Table) -> dict[str, Any]:
    """All rows are there before the clock starts, the values as one block used again and again."""
    values = pa.array(np.random.default_rng(0).random(_BATCH_ROWS, np.float32))
    names = [f"c{at}" for at in range(options.columns)]
    schema = pa.schema([("key", pa.string()), *((name, pa.float32()) for name in names)])

    def batches() -> Iterator[pa.RecordBatch]:
        for part in keys.to_batches(_BATCH_ROWS):
            columns = [values[: part.num_rows]] * options.columns
            yield pa.record_batch([part["key"], *columns], schema=schema)

    progress = None if options.quiet else Progress(options.rows)
    db.create_table("bench", schema, key="key")
    begun = time.perf_counter()
    source = as_source(pa.RecordBatchReader.from_batches(schema, batches()))
    db._write_source("bench", source, None, False, progress)
    seconds = time.perf_counter() - begun
    if progress is not None:
        progress.end(options.rows)
    db.compact("bench")  # reads are of a settled table, as they are most of the time
    info = db.table("bench")
    return {
        "load_rows_per_second": options.rows / seconds,
        "load_megabytes_per_second": options.rows * options.columns * 4 / seconds / 1e6,
        "disk_bytes": info.disk_bytes,
    }


# -- reading ------------------------------------------------------------------------------------


def _measure(
    options: argparse.Namespace, db: "Database", name: str, keys: pa.Table
) -> dict[str, Any]:
    info = db.table(name)
    columns = len(info.columns) - len(info.key)
    ways: dict[str, Callable[[pa.Table], Any]] = {
        "arrow": lambda wanted: db.read(name, wanted).to_arrow(),
        "numpy": lambda wanted: db.read_matrix(name, wanted),
        "pandas": lambda wanted: db.read(name, wanted).to_pandas(),
    }
    reads: dict[str, Any] = {}
    for way, read in ways.items():
        if not options.quiet:
            print(f"reading to {way} for {options.seconds:g} s", file=sys.stderr)
        reads[way] = _time(read, keys, options.keys, options.seconds)
    return {
        "fletching": fletching.__version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "rows": info.row_count,
        "columns": columns,
        "keys": options.keys,
        "reads": reads,
    }


def _time(
    read: Callable[[pa.Table], Any], keys: pa.Table, count: int, seconds: float
) -> dict[str, Any]:
    """p50_us and p99_us of one read, or why there is none."""
    rng = np.random.default_rng(1)
    times: list[float] = []
    end = time.perf_counter() + seconds
    try:
        read(keys.take(rng.integers(0, len(keys), count)))  # imports, first touches
        while not times or time.perf_counter() < end:
            wanted = keys.take(rng.integers(0, len(keys), count)).combine_chunks()
            begun = time.perf_counter()
            read(wanted)
            times.append(time.perf_counter() - begun)
    except (fletching.SchemaMismatchError, fletching.InvalidArgumentError) as error:
        return {"error": str(error)}
    except ImportError as error:
        return {"error": f"{error.name} is not installed"}
    p50, p99 = np.percentile(times, [50, 99]) * 1e6
    return {"p50_us": round(float(p50), 1), "p99_us": round(float(p99), 1), "reads": len(times)}


def _show(options: argparse.Namespace, figures: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{figures['rows']:,} rows, {figures['columns']} columns, {figures['cpus']} CPUs")
    if "load_rows_per_second" in figures:
        print(
            f"load: {figures['load_rows_per_second']:,.0f} rows/s, "
            f"{figures['load_megabytes_per_second']:,.0f} MB/s; "
            f"{figures['disk_bytes'] / 2**20:,.1f} MiB on disk"
        )
    print(f"\n{'read ' + format(figures['keys'], ',') + ' keys':18} {'p50 us':>10} {'p99 us':>10}")
    for way, read in figures["reads"].items():
        if "error" in read:
            print(f"to {way:15} {'-':>10} {'-':>10}  {read['error']}")
        else:
            print(f"to {way:15} {read['p50_us']:10,.0f} {read['p99_us']:10,.0f}")
