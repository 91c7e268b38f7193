"""Columns and keys that are no plain lists: they work right, or the error names column and fix."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import fletching
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

IDS = [1, 2, 3]
NUMBERS = np.array([1.5, 2.5, 3.5])
WORDS = ["a", None, "b"]


def refuse(kind, words, call, *args, **kwargs):
    with pytest.raises(kind) as refused:
        call(*args, **kwargs)
    assert words in str(refused.value), str(refused.value)
    assert isinstance(refused.value, fletching.FletchingError)


def frozen(array):
    array.flags.writeable = False
    return array


# What a column `c` beside ids 1, 2, 3 may be, its type when stored, its values when read.
WORK = {
    "strided": (np.arange(6)[::2], "int64", [0, 2, 4]),
    "backwards": (np.arange(3, dtype=np.int8)[::-1], "int8", [2, 1, 0]),
    "a field of records": (np.array([(7, 1), (8, 2), (9, 3)], "i2,i8")["f0"], "int16", [7, 8, 9]),
    "read-only": (frozen(NUMBERS.copy()), "double", NUMBERS.tolist()),
    "broadcast": (np.broadcast_to(np.float32(2), 3), "float", [2, 2, 2]),
    "byte-swapped": (NUMBERS.astype(">f4"), "float", NUMBERS.tolist()),
    "byte-swapped times": (np.array(["2024-01-01"] * 3, ">M8[s]"), "timestamp[s]",
                           [datetime(2024, 1, 1)] * 3),
    "byte-swapped text": (np.array(["a", "b", ""], ">U2"), "string", ["a", "b", ""]),
    "hours": (np.array(["2024-01-01T05"] * 3, "M8[h]"), "timestamp[s]",
              [datetime(2024, 1, 1, 5)] * 3),
    "months": (np.array(["2024-02"] * 3, "M8[M]"), "date32[day]", [date(2024, 2, 1)] * 3),
    "masked": (np.ma.array([1, 2, 3], mask=[0, 1, 0]), "int64", [1, None, 3]),
    "objects of one type": (np.array(WORDS, object), "string", WORDS),
    "rows of numbers": (np.arange(6, dtype="f4").reshape(3, 2), "fixed_size_list<item: float>[2]",
                        [[0, 1], [2, 3], [4, 5]]),
    "columns of numbers": (np.arange(6, dtype="i4").reshape(2, 3).T,
                           "fixed_size_list<item: int32>[2]",
                           [[0, 3], [1, 4], [2, 5]]),
    "above int64": ([2**63, 0, 2**64 - 1], "uint64", [2**63, 0, 2**64 - 1]),
    "pandas NaT in a list": ([datetime(2024, 1, 1), pd.NaT, None], "timestamp[us]",
                             [datetime(2024, 1, 1), None, None]),
    "pandas byte-swapped": (pd.Series(np.array([1, 2, 3], ">i4")), "int32", [1, 2, 3]),
    "pandas Int8": (pd.array([1, None, 3], "Int8"), "int8", [1, None, 3]),
    "pandas boolean": (pd.array([True, None, False], "boolean"), "bool", [True, None, False]),
    "pandas Float32": (pd.array([1.5, None, 2], "Float32"), "float", [1.5, None, 2]),
    "pandas string": (pd.array(WORDS, "string"), "string", WORDS),
    "pandas categories": (pd.Categorical(WORDS), "string", WORDS),
    "pandas categories of numbers": (pd.Categorical([5, None, 5]), "int64", [5, None, 5]),
    "pandas sparse": (pd.arrays.SparseArray([0, 0, 7]), "int64", [0, 0, 7]),
    "pandas sparse with NaN": (pd.arrays.SparseArray([np.nan, 0, 7]), "double", [None, 0, 7]),
    "pandas with a zone": (pd.DatetimeIndex(["2024-01-01T01:00"] * 3, tz="Europe/Berlin"),
                           "timestamp[us, tz=Europe/Berlin]",
                           [datetime(2024, 1, 1, tzinfo=UTC)] * 3),
    "polars": (pl.Series(WORDS), "string", WORDS),
}  # fmt: skip


@pytest.mark.parametrize("frame_of", [dict, pd.DataFrame])
@pytest.mark.parametrize("case", WORK)
def test_a_column_that_works_keeps_every_value(db, case, frame_of):
    column, dtype, expected = WORK[case]
    if frame_of is pd.DataFrame and getattr(column, "ndim", 1) == 2:
        column = list(column)  # pandas has no columns of rows, only of objects
        dtype = f"list<item: {pa.array(column).type.value_type}>"
    if frame_of is pd.DataFrame and case in ("above int64", "months", "masked", "polars"):
        pytest.skip("pandas makes something else of it")
    db.write("t", frame_of({"id": IDS, "c": column}), key="id")
    assert str(db.schema("t").field("c").type).startswith(dtype)
    back = db.read("t", IDS).to_arrow()["c"].to_pylist()
    assert back == expected


@pytest.mark.parametrize(
    "dtype",
    [
        pl.Categorical,
        pl.Enum(["a", "b"]),
    ],
    ids=["Categorical", "Enum"],
)
def test_polars_categories_are_stored_as_text(db, dtype):
    words = pl.Series(WORDS, dtype=dtype)
    db.write("t", pl.DataFrame({"id": IDS, "c": words}), key="id")
    assert db.read("t", IDS).to_arrow()["c"].to_pylist() == WORDS
    db.write("u", {"id": ["a", "b"], "n": [1, 2]}, key="id")
    assert db.read("u", words.drop_nulls()).to_arrow()["n"].to_pylist() == [1, 2]


# Columns that cannot be stored, and what the error says besides the column's name.
REFUSED = {
    "complex": (NUMBERS.astype(complex), TypeError, "complex128 cannot be stored; give its real"),
    "longdouble": (NUMBERS.astype(np.longdouble), TypeError, "round it first: .astype('float64')"),
    "objects of two types": (np.array(["a", 1, None], object), TypeError,
                             "give the column one type first, for example frame['c'].astype("),
    "a list of two types": (["a", 1, None], TypeError, "one type first"),
    "classes": ([object()] * 3, TypeError, "one type first"),
    "no values": (np.array([None] * 3, object), ValueError, "create the table with a schema first"),
    "Decimal": ([Decimal("1.5")] * 3, ValueError, "decimal128(2, 1) cannot be stored; cast it to"),
    "timedelta": ([timedelta(1)] * 3, ValueError, "duration[us] cannot be stored; cast it to"),
    "dicts": ([{"a": 1}] * 3, ValueError, "struct<a: int64> cannot be stored; give each"),
    "lists of lists": ([[[1]]] * 3, ValueError, "lists hold numbers or utf8, not list<int64>"),
    "periods": (pd.period_range("2024-01", periods=3, freq="M"), TypeError, ".dt.to_timestamp()"),
    "intervals": (pd.interval_range(0, 3), ValueError, "cannot be stored; give each of its fields"),
    "integers beyond 64 bits": ([2**64, 1, 2], TypeError, "fit neither int64 nor uint64"),
    "integers of both ends": ([-1, 2**63, 0], TypeError, "fit neither int64 nor uint64"),
    "half a character": (["\ud800", "a", "b"], TypeError, "surrogates not allowed"),
    "times of two kinds": ([datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), None],
                           ValueError, "some times have a zone and some have none"),
}  # fmt: skip


@pytest.mark.parametrize("frame_of", [dict, pd.DataFrame])
@pytest.mark.parametrize("case", REFUSED)
def test_a_column_that_does_not_is_named_with_what_helps(db, case, frame_of):
    column, kind, words = REFUSED[case]
    if frame_of is pd.DataFrame and case in ("half a character", "times of two kinds"):
        pytest.skip("pandas does not take it, or hands on no list that could be looked at")
    frame = frame_of({"id": IDS, "c": column})
    refuse(kind, "column 'c'", db.write, "t", frame, key="id")
    refuse(kind, words, db.write, "t", frame, key="id")
    assert db.tables() == []


def test_frames_of_the_wrong_shape(db):
    def write(frame, kind, words):
        refuse(kind, words, db.write, "t", frame, key="id")

    write({"id": IDS, "c": 7}, TypeError, "column 'c': a single int where a list of values is")
    write({"id": IDS, "c": "abc"}, TypeError, "column 'c': a single str")
    write({"id": IDS, "c": np.array(7)}, TypeError, "column 'c': an array of 0 dimensions")
    write({"id": IDS, "c": np.zeros((3, 2, 2))}, TypeError, "'c': an array of 3 dimensions")
    write({"id": IDS, "c": [1]}, TypeError, "'id' has 3 values, 'c' has 1")
    write({"id": IDS, None: IDS}, ValueError, "a column has the name None; rename it")
    write({"id": IDS, "0": IDS, 0: IDS}, TypeError, "column '0' occurs twice")
    write({"id": [1.5], "c": [1]}, ValueError, "column 'id': a key is utf8, binary, an integer")
    write({"id": [1, None], "c": [1, 2]}, TypeError, "column 'id' has a null in row 1")
    write({"c": [1]}, ValueError, "key column 'id' is not among the columns")
    write(pd.Series(IDS, name="id"), TypeError, "cannot write a Series; give a pandas or Polars")
    write(pl.LazyFrame({"id": IDS}), TypeError, "give what its collect() returns")
    write("rows.parquet", KeyError, "no file matches 'rows.parquet'")
    write([pa.record_batch({"id": [1]}), pa.record_batch({"x": [1]})], TypeError, "cannot write a")
    wide = pl.DataFrame({"id": IDS, "c": pl.Series(IDS, dtype=pl.Int128)})
    write(wide, TypeError, "column 'c': its type Int128 cannot be stored; cast it first")
    levels = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("id", "x"), ("c", "y")]))
    write(levels, TypeError, "2 levels of names; join them first: frame.columns = ")
    index = pd.DataFrame({"id": IDS, "c": IDS}).set_index(pd.Index(IDS, name="c"))
    write(index, TypeError, "index 'c' has the name of another column; rename one")
    refuse(ValueError, "key is a column name or a list", db.write, "t", {"id": IDS}, key=5)
    assert db.tables() == []


def test_frames_of_an_unusual_shape(db):
    records = np.array([(1, 0.5), (2, 1.5)], [("id", "i8"), ("c", "f4")])
    db.write("records", records, key="id")
    assert db.read("records", [2]).to_arrow()["c"].to_pylist() == [1.5]
    db.write("numbered", pd.DataFrame([[1, 2], [3, 4]]), key="0")
    assert db.read("numbered", [3]).to_arrow()["1"].to_pylist() == [4]
    index = pd.MultiIndex.from_tuples([(1, "x"), (1, "y")], names=["id", "part"])
    db.write("indexed", pd.DataFrame({"c": [5, 6]}, index=index), key=["id", "part"])
    assert db.read("indexed", index[::-1]).to_arrow()["c"].to_pylist() == [6, 5]
    empty = pd.DataFrame({"id": IDS, "c": NUMBERS})[:0]
    assert db.write("empty", empty, key="id").row_count == 0
    assert db.schema("empty").field("c").type == pa.float64()


KEYS = np.array([3, 1])
KEYS_THAT_WORK = {
    "strided": np.array([3, 0, 1, 0])[::2],
    "backwards": np.array([1, 3])[::-1],
    "read-only": frozen(KEYS.copy()),
    "byte-swapped": KEYS.astype(">i8"),
    "narrow and byte-swapped": KEYS.astype(">u2"),
    "unsigned": KEYS.astype(np.uint64),
    "objects": KEYS.astype(object),
    "records": np.array([(3,), (1,)], [("id", "i8")]),
    "a memory view": memoryview(KEYS),
    "a generator": (key for key in (3, 1)),
    "keys of a dict": {3: "x", 1: "y"}.keys(),
    "pandas Int64": pd.array([3, 1], "Int64"),
    "pandas categories": pd.Series([3, 1], dtype="category"),
    "pandas sparse": pd.Series(pd.arrays.SparseArray([3, 1])),
    "pandas objects": pd.Series([3, 1], dtype=object),
    "a view of a dictionary": pa.array([3, 1]).dictionary_encode(),
}


@pytest.mark.parametrize("case", KEYS_THAT_WORK)
def test_keys_that_work_find_their_rows(db, case):
    db.write("t", {"id": IDS, "c": ["a", "b", "c"]}, key="id")
    assert db.read("t", KEYS_THAT_WORK[case]).to_arrow()["c"].to_pylist() == ["c", "a"]


def test_composite_keys_in_arrays(db):
    rows = {"a": IDS, "b": pa.array(IDS, pa.int32()), "c": ["x", "y", "z"]}
    db.write("t", rows, key=["a", "b"])
    records = np.array([(3, 3), (9, 9)], [("b", ">i4"), ("a", "i8")])
    for keys in (np.array([[3, 3], [9, 9]]), np.array([[3, 3], [9, 9]], object), records):
        assert db.read("t", keys).to_arrow()["c"].to_pylist() == ["z", None]
    refuse(ValueError, "a key of this table is a tuple (a, b)", db.read, "t", np.zeros((2, 3)))
    refuse(TypeError, "keys is of type int; give a list of tuples", db.read, "t", 5)
    refuse(TypeError, "keys of column 'a': a single str", db.read, "t", {"a": "x", "b": [1]})


def test_no_keys_of_any_type_are_no_keys(db):
    db.write("t", {"id": IDS, "c": IDS}, key="id")
    for keys in (
        np.array([]),
        pd.Series([], dtype=float),
        pl.Series([], dtype=pl.Float32),
        {}.keys(),
    ):
        assert len(db.read("t", keys)) == 0


KEYS_REFUSED = {
    "floats": ([1.0], TypeError, "float64 column where the schema says int64; cast it first"),
    "NumPy floats": (np.array([1.0]), TypeError, "float64 column where the schema says int64"),
    "pandas floats": (pd.Series([1.0]), TypeError, "float64 column where the schema says"),
    "booleans": ([True], TypeError, "bool column where the schema says int64"),
    "Decimal": ([Decimal(1)], TypeError, "decimal128(1, 0) column where the schema says int64"),
    "complex": (np.array([1j]), TypeError, "keys of column 'id': complex128 cannot be stored"),
    "durations": (np.array([1], "m8[s]"), TypeError, "duration[s] column where the schema says"),
    "None": (None, TypeError, "keys of column 'id': a single NoneType where a list of values is"),
    "with None": ([1, None], ValueError, "key column 'id' has nulls; keys are never null"),
    "objects with None": (np.array([1, None], object), ValueError, "keys are never null"),
    "pandas with NA": (pd.array([1, None], "Int64"), ValueError, "keys are never null"),
    "pandas NaT": ([pd.NaT], ValueError, "keys are never null"),
    "objects of two types": (np.array([1, "a"], object), TypeError, "keys of column 'id': Could"),
    "a matrix": (np.array([[1, 2]]), TypeError, "keys of column 'id': an array of 2 dimensions"),
    "bytes": (bytearray(b"ab"), ValueError, "keys is a single bytearray; give a list"),
    "a lazy frame": (pl.LazyFrame({"id": [1]}), TypeError, "give what its collect() returns"),
    "a column twice": (pd.DataFrame([[1, 1]], columns=["id", "id"]), ValueError, "occurs twice"),
    "an Arrow column twice": (pa.table([[1], [1]], names=["id", "id"]), ValueError, "occurs twice"),
    "two levels": (pd.MultiIndex.from_tuples([(1, 2)]), ValueError, "keys have 2 levels"),
    "another column": (pd.DataFrame({"x": [1]}), ValueError, "'x' is no key column; the key is"),
    "beyond 64 bits": ([2**64], TypeError, "keys of column 'id': its integers fit neither"),
}  # fmt: skip


@pytest.mark.parametrize("case", KEYS_REFUSED)
def test_keys_that_do_not_are_named_with_what_helps(db, case):
    keys, kind, words = KEYS_REFUSED[case]
    db.write("t", {"id": IDS, "c": IDS}, key="id")
    for method in (db.read, db.read_matrix, db.delete):
        refuse(kind, words, method, "t", keys)
    assert db["t"].count == 3


def test_times_as_keys_say_what_they_are(db):
    db.create_table("t", {"id": "timestamp[us, UTC]", "c": "int64"}, key="id")
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    db.write("t", {"id": [noon], "c": [1]})
    for keys in (
        pd.DatetimeIndex(["2024-01-01T13:00"], tz="Europe/Berlin"),
        pd.Series([pd.Timestamp("2024-01-01T12:00", tz="UTC")]),
        pl.Series([noon]),
        [noon],
    ):
        assert db.read("t", keys).found.all()
    naive = datetime(2024, 1, 1, 12)
    refuse(TypeError, "attach the time zone that the values are meant in", db.read, "t", [naive])
    refuse(ValueError, "some times have a zone and some have none", db.read, "t", [naive, noon])
