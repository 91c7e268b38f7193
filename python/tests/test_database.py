"""Opening, creating, writing, reading, deleting: the everyday of a Database."""

import os
import pickle
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import fletching
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

FRAME = pd.DataFrame({"id": ["a", "b", "c"], "n": [1, 2, 3], "x": [0.5, None, -1.5]})


def test_three_lines_lead_to_a_first_result(tmp_path):
    db = fletching.open(tmp_path)
    db.write("docs", FRAME, key="id")
    assert db.read("docs", ["c", "a"], ["n"]).to_pandas()["n"].tolist() == [3, 1]


def test_an_answer_has_a_row_per_key_and_says_which_were_found(db):
    db.write("docs", FRAME, key="id")
    result = db.read("docs", ["b", "nobody", "b", "a"])
    assert result.found.tolist() == [True, False, True, True]
    assert result.found_count == 3
    assert len(result) == 4
    assert result.to_arrow().to_pydict() == {"n": [2, None, 2, 1], "x": [None, None, None, 0.5]}
    assert "3 of 4" in repr(result)


def test_columns_come_in_the_order_they_are_asked_for(db):
    db.write("docs", FRAME, key="id")
    assert db.read("docs", ["a"], ["x", "n"]).to_arrow().schema.names == ["x", "n"]
    assert db.read("docs", ["a"], []).to_arrow().num_columns == 0
    assert db.read("docs", ["a", "no"], []).found.tolist() == [True, False]


def test_numpy_shows_integers_with_nulls_as_floats(db):
    db.write("docs", FRAME, key="id")
    whole = db.read("docs", ["a", "b"]).to_numpy()
    assert whole["n"].dtype == np.int64
    holes = db.read("docs", ["a", "no"]).to_numpy()
    assert holes["n"].dtype == np.float64
    assert np.isnan(holes["n"][1])


def test_a_result_outlives_the_database_and_its_rows(db):
    db.write("docs", FRAME, key="id")
    result = db.read("docs", ["a", "b", "c"], ["n"])
    rows = db.scan("docs")
    db.drop("docs")
    db.close()
    assert result.to_numpy()["n"].tolist() == [1, 2, 3]
    assert rows.read_all().num_rows == 3


def test_the_last_write_of_a_key_wins(db):
    db.write("docs", FRAME, key="id")
    first = db.write("docs", {"id": ["a", "a"], "n": [7, 8], "x": [None, None]})
    assert first.row_count == 2
    assert db.read("docs", ["a"]).to_arrow().to_pylist() == [{"n": 8, "x": None}]
    assert db.read("docs", ["a"]).version == first.version


def test_a_patch_keeps_what_it_does_not_name(db):
    db.write("docs", FRAME, key="id")
    db.write("docs", {"id": ["a", "new"], "n": [9, 10]}, mode="patch")
    values = db.read("docs", ["a", "new"]).to_arrow().to_pydict()
    assert values == {"n": [9, 10], "x": [0.5, None]}
    with pytest.raises(ValueError, match="mode is 'replace' or 'patch', not 'upsert'"):
        db.write("docs", FRAME, mode="upsert")


def test_deleted_rows_are_missing_until_they_are_written_again(db):
    db.write("docs", FRAME, key="id")
    assert db.delete("docs", ["a", "nobody"]).row_count == 2
    assert db.read("docs", ["a", "b"]).found.tolist() == [False, True]
    db.write("docs", FRAME)
    assert db.read("docs", ["a"]).found.all()


def test_an_older_event_does_not_replace_a_newer_one(db):
    schema = {"id": "utf8", "at": "timestamp[us, UTC]", "n": "int32"}
    db.create_table("events", schema, key="id", event_time="at")
    noon, morning = (datetime(2024, 5, 1, hour, tzinfo=UTC) for hour in (12, 8))
    db.write("events", pa.table({"id": ["a"], "at": [noon], "n": pa.array([1], pa.int32())}))
    db.write("events", pa.table({"id": ["a"], "at": [morning], "n": pa.array([2], pa.int32())}))
    assert db.read("events", ["a"], ["n"]).to_arrow()["n"].to_pylist() == [1]
    db.delete("events", ["a"], event_time=morning)
    assert db.read("events", ["a"]).found.all()
    db.delete("events", ["a"])
    assert not db.read("events", ["a"]).found.any()


def test_expired_rows_read_as_missing(db):
    schema = {"id": "utf8", "at": "timestamp[us, UTC]"}
    db.create_table("seen", schema, key="id", event_time="at", ttl=timedelta(days=1))
    now = datetime.now(UTC)
    db.write("seen", pa.table({"id": ["old", "new"], "at": [now - timedelta(days=2), now]}))
    assert db.read("seen", ["old", "new"]).found.tolist() == [False, True]
    assert db.table("seen").ttl_ms == 86_400_000


def test_tables_are_listed_with_their_schemas(db):
    db.write("b", FRAME, key="id")
    db.create_table("a", {"k": "int64", "v": "list<float32>"}, key="k", strict=False)
    assert [table.name for table in db.tables()] == ["a", "b"]
    assert db.table("b").row_count == 3
    assert db.table("b").key == ["id"]
    assert db.table("b").damage is None
    assert db.schema("a") == pa.schema(
        [pa.field("k", pa.int64(), nullable=False), pa.field("v", pa.list_(pa.float32()))]
    )
    columns = db.table("a").columns
    assert [(c.name, c.dtype, c.nullable, c.strict) for c in columns] == [
        ("k", "int64", False, False),
        ("v", "list<float32>", True, False),
    ]
    assert repr(columns[0]) == "Column(k: int64, not null)"
    assert repr(db.table("b")) == "TableInfo(b: 3 rows, 3 columns, key id)"
    db.drop("b")
    assert [table.name for table in db.tables()] == ["a"]


def test_only_what_is_not_strict_rounds(db):
    db.create_table("rounds", {"id": "utf8", "x": "float32"}, key="id", strict=False)
    db.create_table("refuses", {"id": "utf8", "x": "float32"}, key="id")
    frame = pd.DataFrame({"id": ["a"], "x": [0.1]})
    db.write("rounds", frame)
    assert db.read("rounds", ["a"]).to_numpy()["x"][0] == np.float32(0.1)
    with pytest.raises(fletching.SchemaMismatchError, match="'x': float64 column where the schema"):
        db.write("refuses", frame)


def test_columns_are_added_and_widened_in_place(db):
    db.create_table("t", {"id": "utf8", "n": "int16"}, key="id")
    db.write("t", {"id": ["a"], "n": pa.array([5], pa.int16())})
    db.add_column("t", "score", "float32")
    db.add_column("t", "tags", pa.large_list(pa.large_string()))
    db.widen_column("t", "n", "int64")
    assert db.read("t", ["a"]).to_arrow().to_pylist() == [{"n": 5, "score": None, "tags": None}]
    db.write("t", {"id": ["a"], "n": [1 << 40], "score": [None], "tags": [["x"]]})
    assert db.read("t", ["a"]).to_arrow().to_pylist() == [
        {"n": 1 << 40, "score": None, "tags": ["x"]}
    ]


def test_a_scan_gives_every_live_row(db):
    db.write("docs", FRAME, key="id")
    db.delete("docs", ["b"])
    rows = db.scan("docs").read_all()
    assert rows.schema.names == ["id", "n", "x"]
    assert rows.sort_by("id").to_pydict() == {"id": ["a", "c"], "n": [1, 3], "x": [0.5, -1.5]}
    assert db.scan("docs", ["n"], limit=1).read_all().num_rows == 1
    db.compact("docs")
    assert db.table("docs").row_count == 2


def test_everything_is_there_after_reopening(tmp_path):
    with fletching.open(tmp_path) as db:
        db.write("docs", FRAME, key="id")
    with fletching.open(str(tmp_path), "r") as db:
        assert db.read("docs", ["a", "b", "c"]).found.all()
    assert fletching.verify(tmp_path).damage == []


def test_a_closed_database_says_so(db):
    db.write("docs", FRAME, key="id")
    db.close()
    db.close()
    with pytest.raises(fletching.InvalidArgumentError, match="closed"):
        db.read("docs", ["a"])


def test_a_reader_cannot_write(tmp_path, db):
    db.write("docs", FRAME, key="id")
    reader = fletching.open(db.path, "r")
    with pytest.raises(fletching.InvalidArgumentError, match="opened read-only"):
        reader.write("docs", FRAME)
    with pytest.raises(KeyError, match="does not exist"):
        fletching.open(tmp_path / "nothing", "r")
    with pytest.raises(ValueError, match='mode is "r", "a" or "w", not "rw"'):
        fletching.open(tmp_path, "rw")


def test_a_second_writer_is_told_who_holds_the_folder(db):
    db.write("docs", FRAME, key="id")
    script = """
import sys, fletching
db = fletching.open(sys.argv[1])
print(db.read("docs", ["a"]).found.all())
try:
    db.write("docs", {"id": ["z"], "n": [0], "x": [0.0]})
except fletching.LockedError as error:
    print(error)
"""
    command = [sys.executable, "-c", script, db.path]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.startswith("True\n")
    assert str(os.getpid()) in output
    assert 'mode="r" reads beside it' in output


def test_a_database_pickles_as_path_and_mode(tmp_path, db):
    db.write("docs", FRAME, key="id")
    copy = pickle.loads(pickle.dumps(fletching.open(db.path, "r")))
    assert copy.mode == "r"
    assert copy.read("docs", ["a"]).found.all()


def test_readers_and_writers_share_a_database_between_threads(db):
    db.write("docs", {"id": list(range(1000)), "n": [0] * 1000}, key="id")
    torn = []

    def read():
        for _ in range(200):
            seen = set(db.read("docs", range(1000), ["n"]).to_numpy()["n"].tolist())
            if len(seen) != 1:
                torn.append(seen)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for n in range(1, 30):
        db.write("docs", {"id": list(range(1000)), "n": [n] * 1000})
    for reader in readers:
        reader.join()
    assert torn == []
