"""Iceberg tables as sources: every row of a snapshot, or an error that says why not."""

import json
import threading

import pyarrow as pa
import pytest
from pull_node import until
from s3_gateway import BUCKET, Gateway, s3_server

pytest.importorskip(
    "pyiceberg.catalog.sql", reason="pyiceberg is not here: pip install -r requirements-dev.txt"
)

from iceberg_follower import COLUMNS, follow
from iceberg_tables import (
    Warehouse,
    change_schema,
    commit_deletes,
    data_files,
    delete_file,
    equality_deletes,
    position_deletes,
    rows,
)
from pyiceberg.manifest import DataFileContent
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DoubleType, LongType, StringType

__all__ = ["follow", "s3_server"]


@pytest.fixture(params=["local", "s3"])
def warehouse(request, tmp_path) -> Warehouse:
    gateway = request.getfixturevalue("s3_server") if request.param == "s3" else None
    return Warehouse(tmp_path, gateway)


@pytest.fixture
def local(tmp_path) -> Warehouse:
    return Warehouse(tmp_path)


def test_snapshots_are_generations(warehouse, follow):
    table = warehouse.create()
    table.append(rows({"a": 1, "b": 2}))
    here = follow(warehouse, table)
    first = here.follow(table)
    assert here.scores("a", "b", "c") == [1, 2, None]
    table.append(rows({"c": 3}))
    here.follow(table)
    assert here.scores("a", "b", "c") == [1, 2, 3]
    assert here.info()["generation"]["previous"] == first
    (loaded, *_) = here.events("table_loaded")
    assert loaded["rows"] == 2
    assert loaded["text"].startswith("snapshot of 2")
    # The table goes back by itself.
    snapshots = table.snapshots()
    table.manage_snapshots().set_current_snapshot(snapshots[0].snapshot_id).commit()
    here.follow(table)
    assert here.scores("a", "c") == [1, None]
    table.overwrite(rows({"z": 9}))
    here.follow(table)
    assert here.scores("a", "z") == [None, 9]
    assert here.problems() == []


def test_a_table_may_be_named_by_its_metadata_file_or_by_a_catalog(warehouse, follow, tmp_path):
    table = warehouse.create()
    table.append(rows({"a": 1}))
    here = follow(warehouse, table, {"metadata": table.metadata_location})
    here.follow(table)
    table.append(rows({"b": 2}))
    here.server.stop()
    settings = json.loads(here.config.read_text())
    settings["tables"]["docs"]["source"]["iceberg"] = {
        "table": "db.docs",
        "catalog": {"name": "tests", **warehouse.properties},
    }
    here.config.write_text(json.dumps(settings))
    here.start()
    here.follow(table)
    assert here.scores("a", "b") == [1, 2]


def test_its_place_and_region(follow, tmp_path):
    """The environment names others; the gateway refuses signatures for another region."""
    gateway = Gateway(tmp_path / "buckets", region="eu-west-1")
    try:
        gateway.arrow().create_dir(BUCKET)
        warehouse = Warehouse(tmp_path, gateway)
        table = warehouse.create()
        table.append(rows({"a": 1}))
        elsewhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1"}
        place = {"endpoint": gateway.endpoint, "region": "eu-west-1"}
        here = follow(warehouse, table, place, env=elsewhere)
        here.follow(table)
        assert here.scores("a") == [1]
    finally:
        gateway.stop()


def test_position_deletes_are_honoured(warehouse, follow):
    table = warehouse.create()
    many = {f"k{n}": float(n) for n in range(3000)}
    table.append(rows(many))
    table.append(rows({"x": 1, "y": 2}))
    first, second = sorted(table.scan().plan_files(), key=lambda task: -task.file.record_count)
    gone = [0, 7, 2999]
    commit_deletes(table, [position_deletes(table, [(first.file.file_path, n) for n in gone])])
    here = follow(warehouse, table)
    here.follow(table)
    assert here.row_count() == 2999
    expected = {key: (None if int(key[1:]) in gone else score,) for key, score in many.items()}
    assert here.values(list(many), "score") == expected
    # More of the same file and of another, in two files; then the key comes back.
    places = [(first.file.file_path, 7), (first.file.file_path, 8)]
    commit_deletes(
        table,
        [position_deletes(table, places), position_deletes(table, [(second.file.file_path, 0)])],
    )
    here.follow(table)
    assert here.scores("k7", "k8", "k9", "x", "y") == [None, None, 9, None, 2]
    table.append(rows({"x": 5}))
    here.follow(table)
    assert here.scores("x", "k0") == [5, None]


def refused(table, here, words: str) -> None:
    """The snapshot that was just committed is not shown, and the one before is."""
    shown = here.generation()
    here.problem(words)
    assert here.generation() == shown
    assert here.scores("a", "b") == [1, 2]
    # Once more rows stand there without what was refused, they are loaded.
    table.overwrite(rows({"a": 1, "b": 3}))
    here.follow(table)
    assert here.scores("a", "b") == [1, 3]
    until(lambda: here.problems() == [], "health")


def test_equality_deletes_are_refused(warehouse, follow):
    table = warehouse.create()
    table.append(rows({"a": 1, "b": 2}))
    here = follow(warehouse, table)
    here.follow(table)
    commit_deletes(table, [equality_deletes(table, ["a"])])
    refused(table, here, "has equality deletes, which are not supported")
    assert here.events("table_load_failed")[-1]["reason"] == "data"


def test_equality_deletes_among_position_deletes_are_refused(local, follow):
    table = local.create()
    table.append(rows({"a": 1, "b": 2}))
    here = follow(local, table)
    here.follow(table)
    (path,) = data_files(table)
    commit_deletes(table, [position_deletes(table, [(path, 1)]), equality_deletes(table, ["a"])])
    refused(table, here, "has equality deletes, which are not supported")


def test_deletion_vectors_are_refused(local, follow):
    table = local.create()
    table.append(rows({"a": 1, "b": 2}))
    here = follow(local, table)
    here.follow(table)
    vector = delete_file(
        table,
        f"{table.location()}/data/v.puffin",
        DataFileContent.POSITION_DELETES,
        1,
        file_format="PUFFIN",
    )
    commit_deletes(table, [vector])
    refused(table, here, "has deletion vectors (format 3), which are not supported")


def test_deletes_that_spell_a_file_otherwise_are_refused(local, follow):
    """They would match no file, and so delete nothing."""
    table = local.create()
    table.append(rows({"a": 1, "b": 2}))
    here = follow(local, table)
    here.follow(table)
    (path,) = data_files(table)
    commit_deletes(table, [position_deletes(table, [(path.replace("file://", "file:"), 0)])])
    refused(table, here, "which is not the same text")


def test_deletes_of_files_that_are_gone_change_nothing(local, follow):
    table = local.create()
    table.append(rows({"a": 1, "b": 2}))
    commit_deletes(table, [position_deletes(table, [("file:///gone/x.parquet", 0)])])
    here = follow(local, table)
    here.follow(table)
    assert here.scores("a", "b") == [1, 2]


def test_a_renamed_column_keeps_its_values(warehouse, follow):
    table = warehouse.create()
    table.append(rows({"a": 1}))
    change_schema(table, lambda update: update.rename_column("score", "rank"))
    columns = {"id": {"dtype": "utf8"}, "rank": {"dtype": "float32"}}
    table.append(pa.table({"id": ["b"], "rank": pa.array([2], pa.float32())}))
    here = follow(warehouse, table, columns=columns)
    here.follow(table)
    assert here.values(["a", "b"], "rank") == {"a": (1,), "b": (2,)}
    # The old name is no column any more, in the old files neither.
    change_schema(table, lambda update: update.rename_column("rank", "weight"))
    here.problem("column 'rank' is missing; the table has id, weight")
    assert here.values(["a", "b"], "rank") == {"a": (1,), "b": (2,)}


def test_names_that_change_places_change_values(local, follow):
    schema = pa.schema([("id", pa.string()), ("x", pa.int64()), ("y", pa.int64())])
    table = local.create(schema=schema)
    table.append(pa.table({"id": ["a"], "x": [1], "y": [2]}, schema=schema))
    for old, new in (("x", "spare"), ("y", "x"), ("spare", "y")):
        change_schema(table, lambda update, old=old, new=new: update.rename_column(old, new))
    table.append(pa.table({"id": ["b"], "x": [3], "y": [4]}))
    columns = {"id": {"dtype": "utf8"}, "x": {"dtype": "int64"}, "y": {"dtype": "int64"}}
    here = follow(local, table, columns=columns)
    here.follow(table)
    assert here.values(["a", "b"], "x", "y") == {"a": (2, 1), "b": (3, 4)}


def test_a_new_column_is_null_in_older_files(local, follow):
    table = local.create()
    table.append(rows({"a": 1}))
    change_schema(table, lambda update: update.add_column("note", StringType()))
    columns = COLUMNS | {"note": {"dtype": "utf8"}}
    here = follow(local, table, columns=columns)
    first = here.follow(table)
    assert here.values(["a"], "score", "note") == {"a": (1, None)}
    table.append(rows({"b": 2}).append_column("note", pa.array(["new"])))
    second = here.follow(table)
    assert second.split("@")[1] == first.split("@")[1]
    assert here.values(["a", "b"], "note") == {"a": (None,), "b": ("new",)}


def test_a_dropped_column_does_not_come_back_under_its_name(local, follow):
    table = local.create()
    table.append(rows({"a": 1}))
    here = follow(local, table)
    here.follow(table)
    change_schema(table, lambda update: update.delete_column("score"))
    here.problem("column 'score' is missing; the table has id")
    assert here.scores("a") == [1]
    change_schema(table, lambda update: update.add_column("score", DoubleType()))
    table.append(pa.table({"id": ["b"], "score": [2.5]}))
    here.problem("float64 column where the schema says float32")
    here.server.stop()
    changed = json.loads(here.config.read_text())
    changed["tables"]["docs"]["columns"]["score"] = {"dtype": "float64"}
    here.config.write_text(json.dumps(changed))
    here.start()
    here.follow(table)
    assert here.scores("a", "b") == [None, 2.5]


def test_types_that_grew_are_read_as_they_are_now(local, follow):
    schema = pa.schema([("id", pa.string()), ("n", pa.int32()), ("x", pa.float32())])
    table = local.create(schema=schema)
    table.append(pa.table({"id": ["a"], "n": [-(2**31)], "x": [0.1]}, schema=schema))

    def grow(update):
        update.update_column("n", field_type=LongType())
        update.update_column("x", field_type=DoubleType())

    change_schema(table, grow)
    table.append(pa.table({"id": ["b"], "n": [2**62], "x": [0.1]}))
    columns = {"id": {"dtype": "utf8"}, "n": {"dtype": "int64"}, "x": {"dtype": "float64"}}
    here = follow(local, table, columns=columns)
    here.follow(table)
    narrow = pa.scalar(0.1, pa.float32()).as_py()
    assert here.values(["a", "b"], "n", "x") == {"a": (-(2**31), narrow), "b": (2**62, 0.1)}


def test_partitions_may_change_and_columns_of_old_ones_may_go(local, follow):
    schema = pa.schema([("id", pa.string()), ("score", pa.float32()), ("day", pa.string())])

    def more(**scores):
        days = pa.array([f"2026-11-{20 + int(score) % 3}" for score in scores.values()])
        return rows(scores).append_column("day", days)

    table = local.create(schema=schema)
    table.append(more(a=1, b=2, c=3))
    with table.update_spec() as update:
        update.add_field("day", IdentityTransform())
    table.append(more(d=4, e=5, f=6))
    with table.update_spec() as update:
        update.remove_field("day")
        update.add_field("id", IdentityTransform())
    table.append(more(g=7, h=8))
    columns = COLUMNS | {"day": {"dtype": "utf8"}}
    here = follow(local, table, columns=columns)
    here.follow(table)
    keys = "abcdefgh"
    expected = {key: (n, f"2026-11-{20 + n % 3}") for n, key in enumerate(keys, 1)}
    assert here.values(list(keys), "score", "day") == expected
    table.delete("day = '2026-11-21'")  # rewrites files, drops partitions
    here.follow(table)
    expected = {k: (None, None) if v[1] == "2026-11-21" else v for k, v in expected.items()}
    assert here.values(list(keys), "score", "day") == expected


def test_every_type_arrives(local, follow):
    """Held against what pyiceberg's own scan says."""
    table = local.create(
        schema=pa.schema(
            [
                ("id", pa.string()),
                ("flag", pa.bool_()),
                ("small", pa.int32()),
                ("data", pa.binary()),
                ("day", pa.date32()),
                ("at", pa.timestamp("us", "UTC")),
                ("vector", pa.list_(pa.float32())),
            ]
        )
    )
    content = pa.table(
        {
            "id": ["a", "b", "c"],
            "flag": [True, None, False],
            "small": pa.array([1, None, -1], pa.int32()),
            "data": [b"\x00\xff", None, b""],
            "day": pa.array([0, None, 20000], pa.date32()),
            "at": pa.array([0, None, 10**15], pa.timestamp("us", "UTC")),
            "vector": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.float32())),
        }
    )
    table.append(content)
    columns = {
        "id": {"dtype": "utf8"},
        "flag": {"dtype": "bool"},
        "small": {"dtype": "int64"},
        "data": {"dtype": "binary"},
        "day": {"dtype": "date32"},
        "at": {"dtype": "timestamp[us, UTC]"},
        "vector": {"dtype": "fixed_size_list<float32>[2]"},
    }
    here = follow(local, table, columns=columns)
    here.follow(table)
    names = [name for name in columns if name != "id"]
    answer = here.server.post(
        "/api/v1/table/docs/fetch",
        {"keys": ["a", "b", "c"], "columns": names},
        accept="application/vnd.apache.arrow.stream",
    )
    expected = table.scan().to_arrow().sort_by("id")
    for name in names:
        assert answer.table[name].to_pylist() == expected[name].to_pylist(), name


def test_many_threads_read_one_snapshot_at_a_time(local, follow):
    table = local.create()
    keys = [f"k{n}" for n in range(2000)]
    table.append(rows(dict.fromkeys(keys, 0.0)))
    here = follow(local, table, parts=2)
    here.follow(table)
    done, faults = threading.Event(), []

    def read():
        while not done.is_set():
            if len(shown := set(here.scores(*keys[::7]))) != 1:
                faults.append(shown)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(1, 4):
        table.overwrite(rows(dict.fromkeys(keys, float(n))))
        here.follow(table)
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []
