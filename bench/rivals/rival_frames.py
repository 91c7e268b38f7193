"""What needs no store: NumPy beside a dict, and tables in memory joined with the keys."""

import contextlib
import ctypes
import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rivals.data import Shape, Table, float_values
from rivals.rival import Rival, Session, Setting, can_import, chunks, scatter
from rivals.servers import private_bytes

PIECE_ROWS = 500_000


def private_now() -> int:
    """Memory of this process, without what was freed and not yet given back."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)
    return private_bytes(os.getpid())


class NumpyDict(Rival):
    """A matrix in memory, row-major, and a way from key to row. What a notebook would do."""

    name = "numpy_dict"
    title = "NumPy matrix and a dict"
    load_rows_per_s = 1_000_000
    settings = (
        Setting("dict", "a dict from key to row, then one fancy index"),
        Setting("searchsorted", "a sorted array of keys, halved by NumPy"),
        Setting("pandas_index", "a pandas Index, whose engine is a hash table"),
    )

    def rows_max(self, shape: Shape) -> int:
        return 8_000_000_000 // (4 * shape.float_count + 400)

    @contextlib.contextmanager
    def open(self, setting: Setting, table: Table, work: Path) -> Iterator[Session]:
        del work
        empty, start = private_now(), time.monotonic()
        shape = table.shape
        floats = np.empty((table.rows, shape.float_count), np.float32)
        for first, count in chunks(table.rows, PIECE_ROWS):
            numbers = np.arange(first, first + count, dtype=np.uint64)
            floats[first : first + count] = float_values(numbers, np.arange(shape.float_count))
        texts = {}
        for name in shape.names[shape.float_count :]:
            pieces = [batch.column(name).to_pylist() for batch in table.batches()]
            texts[name] = np.array([t for piece in pieces for t in piece], object)
        find = self._finder(setting.name, table)
        columns = None if shape.read_step == 1 else shape.read_floats
        session = Session()
        session.load_seconds = time.monotonic() - start
        session.memory_bytes = private_now() - empty

        def matrix(keys: list) -> np.ndarray:
            rows, found = find(keys)
            values = scatter(floats, rows, found)
            return values if columns is None else values[:, columns]

        def frame(keys: list) -> Any:
            import pandas as pd

            rows, found = find(keys)
            values = scatter(floats, rows, found)
            values = values if columns is None else values[:, columns]
            out = pd.DataFrame(values, columns=shape.read_names[: values.shape[1]])
            for name, column in texts.items():
                picked = column[rows]
                picked[~found] = None
                out[name] = picked
            return out

        session.matrix = None if shape.text_count else matrix
        session.frame = frame
        yield session

    def _finder(self, setting: str, table: Table) -> Any:
        keys = table.keys(np.arange(table.rows, dtype=np.uint64))
        if setting == "dict":
            places = dict(zip(keys, range(len(keys)), strict=True))

            def by_dict(wanted: list) -> tuple[np.ndarray, np.ndarray]:
                get = places.get
                rows = np.fromiter((get(key, -1) for key in wanted), np.int64, len(wanted))
                return rows, rows >= 0

            return by_dict
        if setting == "searchsorted":
            ordered = np.array(keys, "S14" if table.key_type == "utf8" else np.int64)

            def by_halving(wanted: list) -> tuple[np.ndarray, np.ndarray]:
                asked = np.array(wanted, ordered.dtype)
                rows = np.minimum(np.searchsorted(ordered, asked), len(ordered) - 1)
                found = ordered[rows] == asked
                return np.where(found, rows, -1), found

            return by_halving
        import pandas as pd

        index = pd.Index(keys)

        def by_index(wanted: list) -> tuple[np.ndarray, np.ndarray]:
            rows = index.get_indexer(wanted)
            return rows, rows >= 0

        by_index([keys[0]])  # builds its hash table
        return by_index


class PolarsJoin(Rival):
    """A frame in memory; every request joins the keys with it."""

    name = "polars_join"
    title = "Polars or Arrow in memory, join by key"
    load_rows_per_s = 2_000_000
    settings = (
        Setting("left_join", "keys left join table: a hash table of the smaller side or of all"),
        Setting("filter_join", "is_in first, so that the join sees few rows"),
        Setting("sorted_search", "table sorted by key: search_sorted, then gather"),
        Setting("arrow_index_in", "pyarrow.compute.index_in builds its hash table of all keys"),
    )

    def missing(self) -> str | None:
        return can_import("polars")

    @contextlib.contextmanager
    def open(self, setting: Setting, table: Table, work: Path) -> Iterator[Session]:
        import polars as pl

        del work
        empty, start = private_now(), time.monotonic()
        arrow = pa.Table.from_batches(table.batches(), table.schema).combine_chunks()
        names = table.shape.read_names
        data = pl.from_arrow(arrow).with_columns(pl.col("id").set_sorted())
        read = {
            "left_join": lambda keys: _left_join(data, keys, names),
            "filter_join": lambda keys: _filter_join(data, keys, names),
            "sorted_search": lambda keys: _sorted_search(data, keys, names),
            "arrow_index_in": lambda keys: _index_in(arrow, keys, names),
        }[setting.name]
        session = Session()
        session.load_seconds = time.monotonic() - start
        session.memory_bytes = private_now() - empty
        session.frame = lambda keys: read(keys).to_pandas()
        if not table.shape.text_count:
            session.matrix = lambda keys: read(keys).to_numpy()
        yield session


def _left_join(data: Any, keys: list, names: list[str]) -> Any:
    import polars as pl

    wanted = pl.DataFrame({"id": keys})
    return wanted.join(data, on="id", how="left", maintain_order="left").select(names)


def _filter_join(data: Any, keys: list, names: list[str]) -> Any:
    import polars as pl

    wanted = pl.DataFrame({"id": keys})
    few = data.filter(pl.col("id").is_in(keys))
    return wanted.join(few, on="id", how="left", maintain_order="left").select(names)


def _sorted_search(data: Any, keys: list, names: list[str]) -> Any:
    import polars as pl

    wanted = pl.Series("id", keys)
    column = data["id"]
    places = column.search_sorted(wanted).clip(0, len(column) - 1)
    found = column.gather(places) == wanted
    places = places.to_frame("p").with_columns(pl.when(found).then(pl.col("p")).alias("p"))["p"]
    return data.select(pl.col(names).gather(places))


def _index_in(arrow: Any, keys: list, names: list[str]) -> Any:
    import polars as pl
    import pyarrow.compute as pc

    wanted = pa.array(keys, arrow.schema.field("id").type)
    places = pc.index_in(wanted, value_set=arrow["id"].chunk(0))
    return pl.from_arrow(arrow.select(names).take(places))
