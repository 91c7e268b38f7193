"""Dumps with columns in the names of folders."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pull_node import Node, node, rows, until
from s3_gateway import BUCKET, s3_server

__all__ = ["node", "s3_server"]

COLUMNS = {
    "id": {"dtype": "utf8"},
    "score": {"dtype": "float32"},
    "day": {"dtype": "date32"},
    "country": {"dtype": "utf8"},
    "month": {"dtype": "int8"},
}
DUMP = {
    "day=2026-11-20/country=%C3%B6%2F1/month=01/x.parquet": {"a": 1},
    "day=2026-11-21/country=__HIVE_DEFAULT_PARTITION__/month=12/x.parquet": {"b": 2, "c": 3},
    "day=2026-11-21/country=/month=2/other=7/x.parquet": {"d": 4},
}
EXPECTED = {
    "a": ("2026-11-20", "ö/1", 1),
    "b": ("2026-11-21", None, 12),
    "c": ("2026-11-21", None, 12),
    "d": ("2026-11-21", "", 2),
}


def put(root: Path, files: dict[str, dict[str, float]]) -> None:
    for name, scores in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows(scores), path)


def read(here: Node, columns=("day", "country", "month")) -> dict:
    body = {"keys": list(EXPECTED), "columns": list(columns)}
    answer = here.server.post("/api/v1/table/docs/fetch", body)
    assert answer.status == 200, answer
    values = zip(*(answer.json["columns"][name] for name in columns), strict=True)
    return dict(zip(EXPECTED, values, strict=True))


def test_folders_that_are_declared_are_columns(node, tmp_path):
    put(tmp_path / "source", DUMP)
    here = node(layout="hive", columns=COLUMNS)
    here.wait_for("all")
    assert read(here) == EXPECTED
    assert here.scores("a", "d") == [1, 4]


def test_folders_that_are_not_declared_are_ignored(node, tmp_path):
    put(tmp_path / "source", DUMP)
    columns = {name: COLUMNS[name] for name in ("id", "score", "month")}
    here = node(layout="hive", columns=columns)
    here.wait_for("all")
    assert [month for (month,) in read(here, ["month"]).values()] == [1, 12, 12, 2]


def test_the_path_counts_where_the_file_has_the_column_too(node, tmp_path):
    folder = tmp_path / "source/month=3"
    folder.mkdir(parents=True)
    pq.write_table(rows({"a": 1}, month=pa.array([9], pa.int8())), folder / "x.parquet")
    columns = {name: COLUMNS[name] for name in ("id", "score", "month")}
    here = node(layout="hive", columns=columns)
    here.wait_for("all")
    assert read(here, ["month"])["a"] == (3,)


def test_a_key_may_stand_in_the_path_alone(node, tmp_path):
    folder = tmp_path / "source/id=k%201"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"score": pa.array([1.5], pa.float32())}), folder / "x.parquet")
    here = node(layout="hive")
    here.wait_for("all")
    assert here.scores("k 1") == [1.5]


@pytest.mark.parametrize(
    "path, words",
    [
        ("day=2026-11-20/country=at/x.parquet", "column 'month' is missing"),
        ("day=2026-11-20/country=at/month=1000/x.parquet", "1000 does not fit int8"),
        ("day=soon/country=at/month=1/x.parquet", "column 'day' of the folder's name"),
        ("day=2026-11-20/country=at/month=1/month=2/x.parquet", "with different values"),
    ],
)
def test_what_cannot_be_a_column_keeps_the_old_rows(node, tmp_path, path, words):
    put(tmp_path / "source", DUMP)
    here = node(layout="hive", columns=COLUMNS)
    shown = here.wait_for("all")
    put(tmp_path / "source", {path: {"z": 1}})
    (problem,) = until(here.problems, "a problem")
    assert words in problem
    assert path in problem
    assert here.generation() == shown
    assert read(here) == EXPECTED


def test_a_bucket_holds_the_same(s3_server, tmp_path):
    prefix = f"hive-{tmp_path.name}"
    put(s3_server.folder / BUCKET / prefix, DUMP)
    table = {
        "source": {"s3": {"bucket": BUCKET, "prefix": prefix, "endpoint": s3_server.endpoint}},
        "layout": "hive",
        "poll_interval": "50ms",
        "key": ["id"],
        "columns": COLUMNS,
    }
    here = Node(tmp_path, json.dumps({"tables": {"docs": table}}), env=s3_server.env)
    try:
        here.wait_for("all")
        assert read(here) == EXPECTED
    finally:
        here.server.stop()
