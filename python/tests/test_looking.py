"""Reading with missing keys in mind, and looking at tables: what a notebook does."""

import threading

import fletching
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

ROWS = {"id": ["a", "b", "c"], "n": [1, None, 3], "s": ["x", "y", None]}


@pytest.fixture
def docs(db):
    db.write("docs", ROWS, key="id")
    return db


def test_missing_keys_are_dropped_on_request(docs):
    result = docs.read("docs", ["c", "no", "a"], ["n"], missing="drop")
    assert result.found.tolist() == [True, False, True]
    assert result.to_arrow().to_pydict() == {"n": [3, 1]}
    assert len(result) == 2
    assert "2 of 3 keys" in repr(result)


def test_missing_keys_are_an_error_on_request(docs):
    assert len(docs.read("docs", ["a", "b"], missing="error")) == 2
    message = r"table 'docs' has no key 'no' \(position 1\) and 1 more"
    with pytest.raises(fletching.NotFoundError, match=message):
        docs.read("docs", ["a", "no", "nor"], missing="error")
    with pytest.raises(ValueError, match="missing is 'null', 'drop' or 'error', not 'skip'"):
        docs.read("docs", ["a"], missing="skip")


def test_a_missing_composite_key_is_named_whole(db):
    db.write("t", {"a": [1], "b": ["x"], "n": [1]}, key=["a", "b"])
    with pytest.raises(KeyError, match=r"no key \(1, 'y'\)"):
        db.read("t", [(1, "x"), (1, "y")], missing="error")


def test_nulls_are_filled_by_column_or_everywhere(docs):
    by_name = docs.read("docs", ["a", "b", "no"], fill={"n": 0, "s": "?"})
    assert by_name.to_arrow().to_pydict() == {"n": [1, 0, 0], "s": ["x", "y", "?"]}
    assert by_name.found.tolist() == [True, True, False]
    assert docs.read("docs", ["no"], ["n"], fill=-1).to_numpy()["n"].dtype == np.int64
    assert pa.record_batch(by_name).to_pydict()["n"] == [1, 0, 0]
    with pytest.raises(fletching.SchemaMismatchError, match=r"'s': 0 is no string; fill it by"):
        docs.read("docs", ["no"], fill=0)
    with pytest.raises(ValueError, match="fill names column 'z', which was not read"):
        docs.read("docs", ["a"], fill={"z": 0})


def test_polars_gets_the_same_memory(docs):
    docs.write("floats", {"id": ["a", "b"], "x": [0.5, 1.5]}, key="id")
    result = docs.read("floats", ["b", "a"])
    frame = result.to_polars()
    assert frame.equals(pl.DataFrame({"x": [1.5, 0.5]}))
    address = result.to_arrow()["x"].buffers()[1].address
    assert frame["x"].to_arrow().buffers()[1].address == address


def test_a_table_shows_itself(docs):
    table = docs["docs"]
    assert table.count == len(table) == 3
    assert table.schema.names == ["id", "n", "s"]
    assert table.head(2).num_rows == 2
    assert table.read(["a"]).found.all()
    assert "3 rows" in repr(table)
    page = table._repr_html_()
    assert "<table" in page
    assert "TableInfo(docs" in page
    docs.delete("docs", ["a"])
    assert table.count == 2
    assert "docs" in docs
    assert "nothing" not in docs
    with pytest.raises(KeyError, match="nothing"):
        docs["nothing"]


def test_a_scan_is_filtered_by_columns_it_does_not_give(docs):
    rows = docs["docs"].scan(["s"], pc.field("n") > 0).read_all()
    assert rows.schema.names == ["s"]
    assert sorted(rows["s"].to_pylist(), key=str) == [None, "x"]
    assert docs["docs"].scan(filter=pc.field("id") == "b").read_all().to_pylist() == [
        {"id": "b", "n": None, "s": "y"}
    ]
    with pytest.raises(ValueError, match="filter is a pyarrow"):
        docs["docs"].scan(filter="n > 0")
    with pytest.raises(ValueError, match="nope"):
        docs["docs"].scan(["nope"], pc.field("n") > 0)


def test_many_reads_see_one_version_of_each_table(db):
    keys = list(range(200))
    db.write("n", {"id": keys, "x": [0] * 200}, key="id")
    db.write("m", {"id": keys, "x": [0] * 200}, key="id")
    stop = threading.Event()

    def write():
        value = 0
        while not stop.is_set():
            value += 1
            db.write("n", {"id": keys, "x": [value] * 200})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            first, other, second = db.read_many([("n", keys, ["x"]), ("m", keys), ("n", keys)])
            assert first.version == second.version
            values = set(first.to_numpy()["x"]) | set(second.to_numpy()["x"])
            assert len(values) == 1
            assert other.found_count == 200
    finally:
        stop.set()
        writer.join()
    with pytest.raises(fletching.NotFoundError):
        db.read_many([("n", keys), ("nothing", keys)])


def test_a_database_knows_its_tables(db):
    db.write("n", {"id": [1]}, key="id")
    assert "n" in db
    assert all(name not in db for name in ("m", "", "a/b", "..", "a b"))
