"""Random histories of the Python calls against a dictionary.

A failure prints the seed and the calls. FLETCHING_MODEL_SEED repeats a run, with
FLETCHING_MODEL_SHRINK=1 the shortest history that fails is looked for, and
FLETCHING_MODEL_HISTORIES makes a run longer.
"""

import os
import random
import tempfile
from typing import Any

import fletching
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

SEED = int(os.environ.get("FLETCHING_MODEL_SEED") or random.randrange(2**32))
HISTORIES = int(os.environ.get("FLETCHING_MODEL_HISTORIES") or 120)
PHASES = [Phase.generate, *([Phase.shrink] if os.environ.get("FLETCHING_MODEL_SHRINK") else [])]

KEYS = {
    ("user",): st.tuples(st.sampled_from(["", "a", "b", "\u00e9", "long " * 20])),
    ("item",): st.tuples(st.integers(-3, 4)),
    ("user", "item"): st.tuples(st.sampled_from(["", "a", "\u00e9"]), st.integers(-1, 2)),
}
KEY_TYPES = {"user": pa.string(), "item": pa.int16()}
# A type for each column, its values, and a fill. Floats are ones that float32 holds.
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any], Any]] = {
    "clicks": (pa.int32(), st.integers(-(2**24), 2**24), -1),
    "score": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False, width=32), 0.5),
    "title": (pa.string(), st.text(max_size=5), "none"),
    "seen": (pa.bool_(), st.booleans(), False),
    "vector": (pa.list_(pa.float32()), st.lists(st.integers(-9, 9).map(float), max_size=3), [0.0]),
}
NUMERIC = ("clicks", "score", "seen")

Key = tuple[Any, ...]
Row = dict[str, Any]

FRAMES = {
    "pyarrow": lambda table: table,
    "reader": lambda table: pa.RecordBatchReader.from_batches(
        table.schema, table.to_batches(max_chunksize=2)
    ),
    "batches": lambda table: table.to_batches() or table,
    "dict": lambda table: dict(zip(table.schema.names, table.columns, strict=True)),
    "polars": pl.from_arrow,
    "pandas": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
}


class History:
    """A database, the dictionary it should equal, and calls on both."""

    def __init__(self, data: st.DataObject, folder: str) -> None:
        self.data = data
        self.folder = folder
        self.db = fletching.open(folder)
        self.key = data.draw(st.sampled_from(list(KEYS)), label="key")
        self.names = ["clicks", "score"]
        self.rows: dict[Key, Row] = {}
        self.db.create_table("t", self.schema(), key=list(self.key))

    def draw(self, strategy: st.SearchStrategy[Any], label: str) -> Any:
        return self.data.draw(strategy, label=label)

    def schema(self) -> pa.Schema:
        keys = [pa.field(name, KEY_TYPES[name], nullable=False) for name in self.key]
        return pa.schema([*keys, *((name, COLUMNS[name][0]) for name in self.names)])

    # -- what changes the table -------------------------------------------------------------------

    def write(self) -> None:
        is_patch = self.draw(st.booleans(), "patch")
        names = self.names
        if is_patch:
            names = self.draw(st.lists(st.sampled_from(self.names), unique=True), "columns")
        row = st.tuples(KEYS[self.key], *(st.none() | COLUMNS[name][1] for name in names))
        rows = self.draw(st.lists(row, max_size=6), "rows")
        columns = {name: [r[0][at] for r in rows] for at, name in enumerate(self.key)}
        columns |= {name: [r[at + 1] for r in rows] for at, name in enumerate(names)}
        fields = [self.schema().field(name) for name in columns]
        table = pa.table(columns, schema=pa.schema(fields))
        frame = FRAMES[self.draw(st.sampled_from(list(FRAMES)), "frame")](table)
        written = self.db.write("t", frame, mode="patch" if is_patch else "replace")
        assert written.row_count == len(rows)
        for key, *values in rows:
            old = self.rows.get(key) if is_patch else None
            given = dict(zip(names, values, strict=True))
            self.rows[key] = {**(old or dict.fromkeys(self.names)), **given}

    def delete(self) -> None:
        keys = self.draw(st.lists(KEYS[self.key], max_size=6), "keys")
        self.db.delete("t", self.key_argument(keys))
        for key in keys:
            self.rows.pop(key, None)

    def add_column(self) -> None:
        left = [name for name in COLUMNS if name not in self.names]
        if not left:
            return
        name = self.draw(st.sampled_from(left), "column")
        self.db.add_column("t", name, COLUMNS[name][0])
        self.names.append(name)
        for row in self.rows.values():
            row[name] = None

    def compact(self) -> None:
        self.db.compact("t")

    def reopen(self) -> None:
        self.db.close()
        self.db = fletching.open(self.folder, self.draw(st.sampled_from("aw"), "mode"))

    # -- what looks at it -------------------------------------------------------------------------

    def key_argument(self, keys: list[Key]) -> Any:
        """The keys in one of the forms that they may have."""
        arrays = {
            name: pa.array([key[at] for key in keys], KEY_TYPES[name])
            for at, name in enumerate(self.key)
        }
        forms: dict[str, Any] = {
            "arrow": lambda: pa.table(arrays),
            "dict": lambda: {name: array.to_pylist() for name, array in arrays.items()},
            "numpy": lambda: {n: a.to_numpy(zero_copy_only=False) for n, a in arrays.items()},
            "pandas": lambda: pa.table(arrays).to_pandas(),
            "polars": lambda: pl.from_arrow(pa.table(arrays)),
            "list": lambda: [key[0] for key in keys] if len(self.key) == 1 else keys,
        }
        return forms[self.draw(st.sampled_from(list(forms)), "form of keys")]()

    def question(self, names: list[str]) -> tuple[list[Key], Any, list[str]]:
        keys = self.draw(st.lists(KEYS[self.key], max_size=6), "keys")
        columns = self.draw(st.lists(st.sampled_from(names), unique=True), "columns")
        return keys, self.key_argument(keys), columns

    def read(self) -> None:
        keys, argument, columns = self.question(self.names)
        missing = self.draw(st.sampled_from(["null", "drop", "error"]), "missing")
        is_filled = self.draw(st.booleans(), "fill")
        fill = {name: COLUMNS[name][2] for name in columns} if is_filled else None
        is_here = [key in self.rows for key in keys]
        if missing == "error" and not all(is_here):
            absent = keys[is_here.index(False)]
            shown = absent[0] if len(absent) == 1 else absent
            with pytest.raises(KeyError) as refused:
                self.db.read("t", argument, columns, missing=missing, fill=fill)
            assert f"no key {shown!r} (position {is_here.index(False)})" in str(refused.value)
            return
        result = self.db.read("t", argument, columns, missing=missing, fill=fill)
        assert result.found.tolist() == is_here
        assert result.found_count == sum(is_here)
        shown = [key for key in keys if key in self.rows or missing == "null"]
        assert len(result) == len(shown)
        batch = result.to_arrow()
        assert batch.schema.names == columns
        for name in columns:
            assert batch.column(name).type == COLUMNS[name][0]
            values = [self.rows.get(key, {}).get(name) for key in shown]
            if is_filled:
                values = [fill[name] if value is None else value for value in values]
            assert batch.column(name).to_pylist() == values, name

    def read_matrix(self) -> None:
        numeric = [name for name in self.names if name in NUMERIC]
        keys, argument, columns = self.question(numeric)
        dtype = self.draw(st.sampled_from([np.float32, np.float64]), "dtype")
        fill = self.draw(st.sampled_from([None, -1.0]), "fill")
        out = (
            np.full((len(keys), len(columns)), 7, dtype)
            if self.draw(st.booleans(), "out")
            else None
        )
        matrix = self.db.read_matrix(
            "t", argument, columns, dtype=None if out is not None else dtype, fill=fill, out=out
        )
        assert out is None or matrix is out
        assert matrix.dtype == dtype
        instead = np.nan if fill is None else fill
        values = [[self.rows.get(key, {}).get(name) for name in columns] for key in keys]
        expected = [[instead if v is None else v for v in row] for row in values]
        expected = np.array(expected, dtype).reshape(len(keys), len(columns))
        np.testing.assert_array_equal(matrix, expected)

    def scan(self) -> None:
        columns = self.draw(st.lists(st.sampled_from(self.names), unique=True), "columns")
        threshold = self.draw(st.none() | st.integers(-5, 5), "clicks above")
        rows = self.rows
        if threshold is None:
            found = self.db.scan("t", [*self.key, *columns]).read_all()
        else:
            condition = pc.field("clicks") > threshold
            found = self.db["t"].scan([*self.key, *columns], condition).read_all()
            rows = {
                key: row
                for key, row in rows.items()
                if row["clicks"] is not None and row["clicks"] > threshold
            }
        expected = [
            {**dict(zip(self.key, key, strict=True)), **{name: row[name] for name in columns}}
            for key, row in rows.items()
        ]
        assert sorted(map(repr, found.to_pylist())) == sorted(map(repr, expected))

    def look(self) -> None:
        table = self.db["t"]
        assert table.schema == self.schema()
        assert table.count == len(self.rows)
        assert table.head(3).num_rows == min(3, len(self.rows))


CHANGES = [History.write, History.write, History.write, History.delete, History.add_column,
           History.compact, History.reopen]  # fmt: skip
LOOKS = [History.read, History.read, History.read_matrix, History.scan, History.look]


def test_random_histories_agree_with_a_dictionary():
    print("FLETCHING_MODEL_SEED =", SEED)
    history_count = 0

    @seed(SEED)
    @settings(
        max_examples=HISTORIES,
        deadline=None,
        database=None,
        phases=PHASES,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def play(data: st.DataObject) -> None:
        nonlocal history_count
        history_count += 1
        with tempfile.TemporaryDirectory() as folder:
            history = History(data, folder)
            try:
                for _ in range(data.draw(st.integers(4, 16), label="rounds")):
                    data.draw(st.sampled_from(CHANGES))(history)
                    data.draw(st.sampled_from(LOOKS))(history)
                history.look()
            finally:
                history.db.close()
            assert fletching.verify(folder).damage == []

    play()
    assert history_count >= min(HISTORIES, 100)
