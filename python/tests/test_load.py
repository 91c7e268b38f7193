"""Files into tables: Database.load and `fletching load`."""

import io

import fletching
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from fletching._load import Progress


def rows(first, count, value=0):
    return pa.table({"id": list(range(first, first + count)), "n": [value] * count})


def test_a_write_takes_a_path(db, tmp_path):
    pa.parquet.write_table(pa.table({"id": [1, 2], "x": [0.5, 1.5]}), tmp_path / "rows.parquet")
    assert db.write("t", tmp_path / "rows.parquet", key="id").row_count == 2
    assert db.write("t", str(tmp_path / "rows.parquet")).row_count == 2
    assert db.read("t", [2]).to_arrow()["x"].to_pylist() == [1.5]


def test_a_folder_is_one_write_and_the_last_file_wins(db, tmp_path):
    folder = tmp_path / "export"
    (folder / "b").mkdir(parents=True)
    (folder / "_temporary").mkdir()
    pq.write_table(rows(0, 10, 1), folder / "a.parquet")
    pq.write_table(rows(5, 10, 2), folder / "b" / "part.parquet")
    pq.write_table(rows(0, 10, 3), folder / "_temporary" / "c.parquet")
    (folder / "_SUCCESS").touch()
    assert db.load("t", folder, key="id") == (20, 1)
    assert db["t"].count == 15
    assert db.read("t", [4, 5, 14]).to_arrow()["n"].to_pylist() == [1, 2, 2]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "arrow"])
def test_every_format_loads(db, tmp_path, suffix):
    for part in range(2):
        path = tmp_path / f"part{part}.{suffix}"
        if suffix == "parquet":
            pq.write_table(rows(part * 10, 10), path)
        elif suffix == "csv":
            pa.csv.write_csv(rows(part * 10, 10), path)
        else:
            pa.feather.write_feather(rows(part * 10, 10), path)
    assert db.load("t", tmp_path / f"*.{suffix}", key="id").row_count == 20
    assert db["t"].schema.names == ["id", "n"]


def test_progress_is_called_and_may_end_the_load(db, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(rows(0, 600_000), path)
    seen = []
    db.load("t", path, key="id", progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 600_000

    def stop(row_count):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        db.load("u", path, key="id", progress=stop)
    assert "u" not in db


def test_what_cannot_be_loaded_is_named(db, tmp_path):
    with pytest.raises(KeyError, match="no file matches"):
        db.load("t", tmp_path / "*.parquet", key="id")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match=r"a\.txt' ends with none of \.parquet"):
        db.load("t", tmp_path / "a.txt", key="id")
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(ValueError, match=r"bad\.parquet"):
        db.load("t", tmp_path / "bad.parquet", key="id")
    folder = tmp_path / "mixed"
    folder.mkdir()
    pq.write_table(rows(0, 3), folder / "a.parquet")
    pq.write_table(rows(0, 3).drop_columns(["n"]), folder / "b.parquet")
    with pytest.raises(fletching.SchemaMismatchError, match=r"b\.parquet lacks column 'n'"):
        db.load("t", folder, key="id")
    assert db.tables() == []


def test_a_damaged_file_is_named_and_writes_nothing(db, tmp_path):
    pq.write_table(rows(0, 300_000), tmp_path / "a.parquet", row_group_size=100_000)
    path = tmp_path / "b.parquet"
    pq.write_table(rows(0, 300_000), path, row_group_size=100_000, use_dictionary=False)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = b"\xff" * 4000
    path.write_bytes(content)
    with pytest.raises(fletching.InvalidArgumentError, match=r"b\.parquet: "):
        db.load("t", tmp_path, key="id")
    assert "t" not in db


def test_the_line_of_progress_says_how_long_it_takes():
    progress = Progress(1000, io.StringIO())
    assert progress.line(250, 5) == " 25 %  250 rows, 50 rows/s, 15 s left"
    assert progress.line(1000, 90) == "1,000 rows, 11 rows/s, 1 min 30 s"
    assert Progress(None, io.StringIO()).line(10, 2) == "10 rows, 5 rows/s, 2 s"
