"""Everything that can be written, every kind of key, every type."""

from datetime import UTC, date, datetime, time

import fletching
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fletching import _frames

TABLE = pa.table({"id": ["a", "b"], "n": pa.array([1, None], pa.int32())})


class OnlyArray:
    """A library that hands over one batch."""

    def __arrow_c_array__(self, requested_schema=None):
        return TABLE.to_batches()[0].__arrow_c_array__(requested_schema)


class OnlyStream:
    """A library that hands over a stream."""

    def __arrow_c_stream__(self, requested_schema=None):
        return TABLE.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "frame",
    [
        TABLE,
        TABLE.to_batches()[0],
        TABLE.to_batches(max_chunksize=1),
        pa.Table.from_batches(TABLE.to_batches(max_chunksize=1)).to_reader(),
        TABLE.to_pandas(types_mapper=pd.ArrowDtype),
        TABLE.to_pandas(types_mapper=pd.ArrowDtype).set_index("id"),
        pl.from_arrow(TABLE),
        TABLE.to_pydict(),
        OnlyArray(),
        OnlyStream(),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_each_kind_of_frame_makes_a_table_and_is_read_back(db, frame):
    assert db.write("t", frame, key="id").row_count == 2
    assert db.read("t", ["b", "a"]).to_arrow()["n"].to_pylist() == [None, 1]


def test_an_index_without_a_name_is_no_column(db):
    frame = pd.DataFrame({"id": ["a", "b", "c"], "n": [1, 2, 3]})
    db.write("t", frame[frame["n"] > 1], key="id")
    assert db.schema("t").names == ["id", "n"]


def test_categories_and_large_types_are_stored_as_plain_ones(db):
    frame = pd.DataFrame({"id": ["a", "b"], "c": pd.Categorical(["x", None])})
    db.write("t", frame, key="id")
    assert db.schema("t").field("c").type == pa.string()
    assert db.read("t", ["a", "b"]).to_arrow()["c"].to_pylist() == ["x", None]


def test_a_result_goes_on_to_other_libraries_by_the_arrow_interface(db):
    db.write("t", TABLE, key="id")
    assert pl.DataFrame(db.read("t", ["a", "no"]))["n"].to_list() == [1, None]


EVERY_TYPE = {
    "bool": (pa.bool_(), [True, False]),
    **{
        f"{sign}int{bits}": (
            getattr(pa, f"{sign}int{bits}")(),
            [0, 2**bits - 1] if sign else [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1],
        )
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
    "float16": (pa.float16(), [np.float16(0.5), np.float16("-inf")]),
    "float32": (pa.float32(), [1.5, float("inf")]),
    "float64": (pa.float64(), [5e-324, -0.0]),
    "utf8": (pa.string(), ["", "\u00e9\U0001f426"]),
    "binary": (pa.binary(), [b"", b"\x00\xff"]),
    "date32": (pa.date32(), [date(1, 1, 1), date(9999, 12, 31)]),
    "time32[s]": (pa.time32("s"), [time(0), time(23, 59, 59)]),
    "time64[us]": (pa.time64("us"), [time(0), time(23, 59, 59, 999999)]),
    "timestamp[s]": (pa.timestamp("s"), [datetime(1970, 1, 1), datetime(2262, 4, 11)]),
    "timestamp[ns, UTC]": (pa.timestamp("ns", "UTC"), [datetime(2024, 2, 29, tzinfo=UTC)] * 2),
    "list<utf8>": (pa.list_(pa.string()), [[], ["x", None, ""]]),
    "list<float64>": (pa.list_(pa.float64()), [[], [1.0, None]]),
    "fixed_size_list<float32>[3]": (pa.list_(pa.float32(), 3), [[1, 2, 3], [None, 0, -1]]),
}


@pytest.mark.parametrize("name", EVERY_TYPE)
def test_every_type_comes_back_as_it_was_written(db, name):
    dtype, values = EVERY_TYPE[name]
    db.create_table("t", {"id": "int64", "v": name}, key="id")
    written = pa.array([*values, None], dtype)
    db.write("t", {"id": [0, 1, 2], "v": written})
    for _ in range(2):
        back = db.read("t", [2, 1, 0]).to_arrow()["v"]
        assert back.type == dtype
        assert back.equals(written.take(pa.array([2, 1, 0])))
        db.compact("t")


def test_a_nan_stays_a_nan_and_a_null_a_null(db):
    db.write("t", pa.table({"id": [1, 2], "x": pa.array([float("nan"), None])}), key="id")
    assert db.read("t", [1, 2]).to_arrow()["x"].null_count == 1


KEY_TYPES = {
    "utf8": ["a", "", "\u00e9"],
    "binary": [b"a", b"", b"\x00\x00"],
    "int8": [-128, 0, 127],
    "uint64": [0, 1, 2**64 - 1],
    "date32": [date(2013, 1, 1), date(1970, 1, 1), date(1969, 12, 31)],
    "timestamp[us, UTC]": [datetime(2013, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
}


@pytest.mark.parametrize("dtype", KEY_TYPES)
def test_every_key_type_is_found_from_plain_python_values(db, dtype):
    db.create_table("t", {"k": dtype, "row": "int64"}, key="k")
    keys = KEY_TYPES[dtype]
    db.write("t", {"k": pa.array(keys, db.schema("t").field("k").type), "row": [0, 1, 2]})
    assert db.read("t", keys[::-1]).to_arrow()["row"].to_pylist() == [2, 1, 0]


@pytest.mark.parametrize(
    "keys",
    [
        [3, 1],
        (3, 1),
        np.array([3, 1]),
        np.array([3, 1], np.int8),
        pd.Series([3, 1]),
        pd.Index([3, 1]),
        pl.Series([3, 1]),
        pa.array([3, 1]),
        pa.chunked_array([[3], [1]]),
        {"k": [3, 1]},
        pd.DataFrame({"k": [3, 1]}),
        pl.DataFrame({"k": [3, 1]}),
        pa.table({"k": [3, 1]}),
    ],
    ids=lambda keys: type(keys).__name__,
)
def test_each_kind_of_keys(db, keys):
    db.write("t", {"k": [1, 2, 3], "v": ["a", "b", "c"]}, key="k")
    assert db.read("t", keys).to_arrow()["v"].to_pylist() == ["c", "a"]


@pytest.mark.parametrize(
    "keys",
    [
        [("u2", 1), ("u1", 2)],
        {"item": [1, 2], "user": ["u2", "u1"]},
        pd.DataFrame({"user": ["u2", "u1"], "item": [1, 2]}),
        pa.table({"item": [1, 2], "user": ["u2", "u1"]}),
    ],
    ids=lambda keys: type(keys).__name__,
)
def test_each_kind_of_composite_keys(db, keys):
    rows = {"user": ["u1", "u1", "u2"], "item": [1, 2, 1], "v": [11, 12, 21]}
    db.write("t", rows, key=["user", "item"])
    assert db.read("t", keys).to_arrow()["v"].to_pylist() == [21, 12]
    db.delete("t", keys)
    assert db.read("t", [("u1", 1), ("u2", 1)]).found.tolist() == [True, False]


def test_integers_take_the_width_of_the_key_column(db):
    db.create_table("t", {"k": "int16", "v": "utf8"}, key="k")
    db.write("t", {"k": pa.array([1, 2], pa.int16()), "v": ["a", "b"]})
    for keys in ([2], np.array([2]), pd.Series([2]), pd.DataFrame({"k": [2]}), pl.Series([2])):
        assert db.read("t", keys).to_arrow()["v"].to_pylist() == ["b"]
    with pytest.raises(TypeError, match="int64 column where the schema says int16"):
        db.read("t", pa.array([2]))


def test_no_keys_give_no_rows(db):
    db.write("t", TABLE, key="id")
    for keys in ([], np.array([], str), pa.array([], pa.string()), {"id": []}):
        result = db.read("t", keys)
        assert len(result) == 0
        assert result.to_arrow().schema.names == ["n"]
        assert result.found.shape == (0,)


def test_a_frame_without_rows_makes_the_table(db):
    assert db.write("t", TABLE.slice(0, 0), key="id").row_count == 0
    assert db.table("t").row_count == 0


def test_the_key_of_a_table_stays(db):
    db.write("t", TABLE, key="id")
    db.write("t", TABLE, key="id")
    with pytest.raises(fletching.InvalidArgumentError, match="the key of table 't' is"):
        db.write("t", TABLE, key="n")


def test_a_long_frame_is_stored_slice_by_slice(db, monkeypatch):
    monkeypatch.setattr(_frames, "_SLICE_ROWS", 100)
    count = 1234
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "id": [f"k{i}" for i in range(count)],
            "f": np.where(rng.random(count) < 0.1, np.nan, rng.random(count)).astype(np.float32),
            "n": rng.integers(0, 9, count),
            "b": rng.random(count) < 0.5,
            "s": pd.Series([None if i < 900 else f"s{i}" for i in range(count)], dtype="str"),
        }
    )
    assert isinstance(_frames._as_arrow(frame), _frames._FrameSlices)
    assert db.write("sliced", frame, key="id").row_count == count
    monkeypatch.setattr(_frames, "_SLICE_ROWS", 10**6)
    db.write("whole", frame, key="id")
    keys = frame["id"].tolist()
    assert db.schema("sliced") == db.schema("whole")
    assert db.read("sliced", keys).to_arrow().equals(db.read("whole", keys).to_arrow())
    monkeypatch.setattr(_frames, "_SLICE_ROWS", 100)
    objects = frame.assign(
        s=frame["s"].astype(object)
    )  # what these are is only seen in all of them
    db.write("objects", objects, key="id")
    assert db.read("objects", keys).to_arrow().equals(db.read("whole", keys).to_arrow())
