"""What cannot be done is refused whole, with the right exception and every door's words."""

import io
import json
import subprocess
import sys

import fletching
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from fletching import _errors, _native

ARROW = "application/vnd.apache.arrow.stream"
SCHEMA = {"id": "utf8", "n": "int32", "x": "float32"}
PAIRS = {"a": "utf8", "b": "utf8"}
GOOD = pa.table(
    {"id": ["a", "b"], "n": pa.array([1, 2], pa.int32()), "x": pa.array([0.5, 1], pa.float32())}
)


def ipc(table, metadata=None):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema.with_metadata(metadata)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def damaged_text(offsets, data=b"abcdef"):
    """A utf8 array whose offsets are what they are."""
    numbers = np.array(offsets, np.int32).tobytes()
    buffers = [None, pa.py_buffer(numbers), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), len(offsets) - 1, buffers)


def lying_batch(names=("k", "v"), end=1 << 30):
    """A batch as it comes from a stream whose last offset points far past its bytes."""
    text = pa.array(["abc", "d" * 61])
    good = pa.record_batch([pa.array(["a", "b"]), text], names=list(names))
    body = bytearray(ipc(pa.Table.from_batches([good])))
    offsets = np.array([0, 3, 64], np.int32).tobytes()
    at = body.index(offsets)
    body[at + 8 : at + 12] = np.int32(end).tobytes()
    return pa.ipc.open_stream(bytes(body)).read_next_batch()


# -- the same words through Python and HTTP -------------------------------------------------------


def write(table):
    return (
        lambda db: db.write("docs", table),
        ("PUT", "/api/v1/table/docs/write", ipc(table), ARROW),
    )


def fetch(keys, columns, table="docs"):
    metadata = {"columns": json.dumps(columns)}
    return (
        lambda db: db.read(table, keys, columns),
        ("POST", f"/api/v1/table/{table}/fetch", ipc(keys, metadata), ARROW),
    )


def fetch_json(keys, columns, table="docs"):
    return (
        lambda db: db.read(table, keys, columns),
        ("POST", f"/api/v1/table/{table}/fetch", {"keys": keys, "columns": columns}),
    )


def create(name, schema, key):
    columns = {
        column: {"dtype": dtype, "key": column in key, "nullable": column not in key}
        for column, dtype in schema.items()
    }
    return (
        lambda db: db.create_table(name, schema, key=key),
        ("PUT", f"/api/v1/table/{name}", {"columns": columns}),
    )


KEYS = pa.table({"id": ["a"]})
SAME_WORDS = {
    "no such table": fetch(KEYS, ["n"], "nothing"),
    "no such column": fetch(KEYS, ["n", "nope"]),
    "a key column among the columns": fetch(KEYS, ["id"]),
    "keys of another type": fetch(pa.table({"id": [1]}), ["n"]),
    "float keys": fetch(pa.table({"id": [1.5]}), ["n"]),
    "a null key": fetch(pa.table({"id": ["a", None]}), ["n"]),
    "an unknown key column": fetch_json({"id": ["a"], "other": ["b"]}, ["n"]),
    "no key column": fetch_json({}, ["n"]),
    "key columns of different lengths": fetch_json({"a": ["x"], "b": ["y", "z"]}, [], "pairs"),
    "a table that exists": create("docs", SCHEMA, ["id"]),
    "a name but for case": create("DOCS", SCHEMA, ["id"]),
    "a bad column name": create("t", {"id": "utf8", "a/b": "int32"}, ["id"]),
    "a key that cannot be one": create("t", {"id": "float32", "a": "int32"}, ["id"]),
    "a missing column": write(GOOD.drop(["x"])),
    "a missing key": write(GOOD.drop(["id"])),
    "another type": write(GOOD.set_column(1, "n", pa.array([1, 2], pa.int64()))),
    "a type that does not fit at all": write(GOOD.set_column(1, "n", pa.array(["1", "2"]))),
    "a null in a written key": write(GOOD.set_column(0, "id", pa.array(["a", None]))),
    "a key too long": write(GOOD.set_column(0, "id", pa.array(["a", "b" * 70_000]))),
    "text that is not UTF-8": write(
        GOOD.set_column(0, "id", damaged_text([0, 1, 2], b"a\xff")),
    ),
    "a column twice": write(GOOD.append_column("n", GOOD["n"])),
}


@pytest.mark.parametrize("case", SAME_WORDS)
def test_both_doors_refuse_with_the_same_words(db, http, case):
    through_python, request = SAME_WORDS[case]
    for make in (create("docs", SCHEMA, ["id"]), create("pairs", PAIRS, ["a", "b"])):
        make[0](db)
        assert http(*make[1])[0] == 201
    with pytest.raises(fletching.FletchingError) as refused:
        through_python(db)
    status, body = http(*request)
    assert json.loads(body)["error"] == str(refused.value)
    by_code = {code: number for code, number, _ in _native.error_table()}
    assert status == by_code[refused.value.code]
    assert db.table("docs").row_count == 0


# -- exceptions -----------------------------------------------------------------------------------


def test_every_code_has_one_class_of_the_promised_kind():
    table = _native.error_table()
    assert {code for code, _, _ in table} == set(_errors.BY_CODE)
    for code, _, promised in table:
        cls = _errors.BY_CODE[code]
        assert promised in {base.__name__ for base in cls.__mro__}, code
        assert issubclass(cls, fletching.FletchingError)
        assert getattr(fletching, cls.__name__) is cls


def test_errors_say_the_message_and_nothing_else():
    for cls in _errors.BY_CODE.values():
        assert str(cls("what it is")) == "what it is"
    assert _errors.make_error("storage_full", "no space").errno == 28
    assert isinstance(_errors.make_error("not seen before", "x"), fletching.InternalError)


# -- what only Python can get wrong ---------------------------------------------------------------


def refuse(kind, words, call, *args, **kwargs):
    with pytest.raises(kind) as refused:
        call(*args, **kwargs)
    assert words in str(refused.value), str(refused.value)
    assert isinstance(refused.value, fletching.FletchingError)


def test_keys_of_the_wrong_form(db):
    db.write("one", {"id": ["a"], "n": [1]}, key="id")
    db.write("two", {"a": ["x"], "b": [1], "n": [1]}, key=["a", "b"])
    refuse(ValueError, "keys is a single str; give a list: ['a']", db.read, "one", "a")
    refuse(ValueError, "columns is a single name", db.read, "one", ["a"], "n")
    refuse(TypeError, "keys of column 'id'", db.read, "one", ["a", 1])
    refuse(TypeError, "keys of column 'id'", db.read, "one", 7)
    refuse(TypeError, "int64 column where the schema says utf8", db.read, "one", [1, 2])
    refuse(ValueError, "keys are never null", db.read, "one", ["a", None])
    refuse(ValueError, "a key of this table is a tuple (a, b), not 'xy'", db.read, "two", ["xy"])
    refuse(ValueError, "tuple (a, b)", db.read, "two", [("x", 1, 2)])
    refuse(ValueError, "keys lack the key column 'b'", db.read, "two", {"a": ["x"]})
    refuse(ValueError, "differ in length", db.read, "two", {"a": ["x"], "b": [1, 2]})
    refuse(TypeError, "keys of column 'b'", db.delete, "two", [("x", 1), ("y", "z")])


def test_integers_that_do_not_fit_the_key(db):
    db.create_table("t", {"k": "int8", "n": "int32"}, key="k")
    refuse(TypeError, "int64 column where the schema says int8", db.read, "t", [1, 1000])
    refuse(TypeError, "uint64 column where the schema says int8", db.read, "t", [2**63])
    refuse(TypeError, "keys of column 'k'", db.read, "t", [2**70])


def test_frames_that_are_none(db):
    refuse(TypeError, "cannot write a int", db.write, "t", 7, key="id")
    refuse(TypeError, "column 'a' occurs twice in the batch", db.write, "t",
           pd.DataFrame([[1, 2]], columns=["a", "a"]), key="a")  # fmt: skip
    mixed = pd.DataFrame({"id": ["a", "b"], "mixed": [1, "one"]})
    refuse(TypeError, "column 'mixed': ", db.write, "t", mixed, key="id")
    refuse(TypeError, "frame['mixed'].astype('string')", db.write, "t", mixed, key="id")
    refuse(TypeError, "column 'b'", db.write, "t", {"a": [1], "b": [object()]}, key="a")
    refuse(ValueError, "column 'n' has no values that tell its type", db.write, "t",
           {"a": [1], "n": [None]}, key="a")  # fmt: skip
    refuse(KeyError, "table 't' does not exist", db.write, "t", {"a": [1]})
    assert db.tables() == []


def test_a_first_write_that_fails_leaves_no_table(db):
    rows = pa.table({"id": ["a", None], "n": [1, 2]})
    refuse(TypeError, "column 'id' has a null in row 1", db.write, "t", rows, key="id")
    assert db.tables() == []


def test_a_generator_that_fails_raises_its_own_error_and_writes_nothing(db):
    db.write("t", GOOD, key="id")

    def batches():
        yield GOOD.to_batches()[0]
        raise ZeroDivisionError("in the user's own code")

    with pytest.raises(ZeroDivisionError, match="in the user's own code"):
        db.write("t", pa.RecordBatchReader.from_batches(GOOD.schema, batches()))
    assert db.table("t").version == 1


# -- lengths and offsets that lie -----------------------------------------------------------------


@pytest.mark.parametrize("offsets", [[0, 5, 3, 6], [0, 1 << 29, 4, 6], [0, -1, 4, 6]])
def test_lying_offsets_are_refused_wherever_they_come_in(db, offsets):
    lie, good = damaged_text(offsets), pa.array(["a", "b", "c"])
    db.create_table("one", {"k": "utf8", "v": "utf8"}, key="k")
    db.create_table("two", {"a": "utf8", "b": "utf8"}, key=["a", "b"])
    refuse(ValueError, "column 'v': ", db.write, "one", pa.table({"k": good, "v": lie}))
    refuse(ValueError, "column 'k': ", db.write, "one", pa.table({"k": lie, "v": good}))
    refuse(ValueError, "column 'b': ", db.write, "two", pa.table({"a": good, "b": lie}))
    refuse(ValueError, "column 'k': ", db.read, "one", lie)
    refuse(ValueError, "column 'a': ", db.read, "two", {"a": lie, "b": lie})
    refuse(ValueError, "column 'a': ", db.delete, "two", {"a": lie, "b": good})
    refuse(
        ValueError, "column 'k': ", db.read, "one", lie.cast(pa.binary()).cast(pa.large_binary())
    )


def test_offsets_past_the_buffer_are_seen_before_they_cross(db):
    batch = lying_batch()
    db.create_table("t", {"k": "utf8", "v": "utf8"}, key="k")
    schema, table = batch.schema, pa.Table.from_batches([batch])
    reader = pa.RecordBatchReader.from_batches(schema, iter([batch]))
    for frame in (batch, [batch], table, reader):
        refuse(ValueError, "column 'v': Length spanned by binary offsets", db.write, "t", frame)
    refuse(ValueError, "column 'k': Offset invariant failure", db.read, "t", batch.column(1))
    assert db.table("t").row_count == 0


def test_dictionary_indices_out_of_range(db):
    indices = pa.Array.from_buffers(
        pa.int32(), 2, [None, pa.py_buffer(b"\1\0\0\0\xff\xff\xff\x7f")]
    )
    lie = pa.DictionaryArray.from_arrays(indices, pa.array(["x", "y"]), safe=False)
    db.create_table("t", {"k": "utf8", "v": "utf8"}, key="k")
    refuse(ValueError, "column 'v': ", db.write, "t", pa.table({"k": ["a", "b"], "v": lie}))
    refuse(ValueError, "column 'k': ", db.read, "t", lie)


# -- the database -------------------------------------------------------------------------------


def test_every_method_of_a_closed_database_says_that_it_is_closed(db, tmp_path):
    db.write("t", GOOD, key="id")
    table = db["t"]
    path = tmp_path / "rows.csv"
    path.write_text("id,n,x\n")
    calls = {
        "create_table": lambda: db.create_table("u", SCHEMA, key="id"),
        "drop": lambda: db.drop("t"),
        "tables": db.tables,
        "table": lambda: db.table("t"),
        "schema": lambda: db.schema("t"),
        "add_column": lambda: db.add_column("t", "c", "int32"),
        "widen_column": lambda: db.widen_column("t", "n", "int64"),
        "compact": lambda: db.compact("t"),
        "write": lambda: db.write("t", GOOD),
        "load": lambda: db.load("t", path),
        "read": lambda: db.read("t", ["a"]),
        "read_matrix": lambda: db.read_matrix("t", ["a"]),
        "read_many": lambda: db.read_many([("t", ["a"])]),
        "snapshot": lambda: db.snapshot(tmp_path / "copy"),
        "delete": lambda: db.delete("t", ["a"]),
        "scan": lambda: db.scan("t"),
        "[]": lambda: db["t"],
        "in": lambda: "t" in db,
        "head": table.head,
        "count": lambda: table.count,
        "len": lambda: len(table),
    }
    db.close()
    db.close()
    for name, call in calls.items():
        with pytest.raises(fletching.FletchingError) as refused:
            call()
        assert "closed" in str(refused.value), (name, refused.value)
    assert "mode='a'" in repr(db)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../t", "a/b", "/etc", "a\\b", "a b", "-a", "a\0b", "\u00e9", "a" * 129]
)
def test_names_that_could_leave_the_folder(db, name):
    refuse(ValueError, "name", db.create_table, name, SCHEMA, key="id")
    refuse(ValueError, "name", db.write, name, GOOD, key="id")
    for call in (db.table, db.drop, db.compact, lambda n: db.read(n, ["a"])):
        with pytest.raises((fletching.NotFoundError, fletching.InvalidArgumentError)):
            call(name)
    assert db.tables() == []


TEN_MILLION = """
import sys, resource
import numpy as np, fletching

db = fletching.open(sys.argv[1])
even = np.arange(0, 2000, 2)
db.write("t", {"k": even, "v": (even % 100).astype(np.int8)}, key="k")
keys = np.arange(10_000_000) % 2000
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = db.read("t", keys)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
is_even = keys % 2 == 0
values = db.read_matrix("t", keys, dtype=np.int32, fill=-1)[:, 0]
print(np.array_equal(result.found, is_even), len(result) == len(keys),
      np.array_equal(values, np.where(is_even, keys % 100, -1)),
      (after - before) * 1024 // len(keys) < 64)
"""


def test_ten_million_keys_in_one_call_take_less_than_64_bytes_each(tmp_path):
    command = [sys.executable, "-c", TEN_MILLION, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["True"] * 4, done.stdout + done.stderr


# -- Ctrl-C ---------------------------------------------------------------------------------------

INTERRUPTED = """
import os, signal, sys, threading, time
import pyarrow as pa, fletching

db = fletching.open(sys.argv[1])
db.create_table("t", {"k": "int64", "v": "int64"}, key="k")
batch = pa.record_batch({"k": range(65536), "v": range(65536)})
started = threading.Event()

def endless():
    while True:
        started.set()
        yield batch

class Native:  # no Python runs while the engine pulls it
    def __arrow_c_stream__(self, requested_schema=None):
        many = pa.Table.from_batches([batch] * 200_000)
        return many.__arrow_c_stream__(requested_schema)

def press_ctrl_c():
    started.wait()
    time.sleep(float(sys.argv[3]))
    os.kill(os.getpid(), signal.SIGINT)
    print(time.monotonic(), flush=True)

kind = sys.argv[2]
if kind == "native":
    started.set()
threading.Thread(target=press_ctrl_c).start()
rows = Native() if kind == "native" else pa.RecordBatchReader.from_batches(batch.schema, endless())
try:
    db.write("t", rows)
except KeyboardInterrupt:
    print(time.monotonic(), "interrupted", db.table("t").row_count, db.table("t").version)
"""


@pytest.mark.parametrize("kind", ["native", "generator"])
def test_ctrl_c_ends_a_long_write_with_nothing_written(tmp_path, kind):
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path), kind, "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "interrupted 0 0" in done.stdout, done.stdout + done.stderr
    assert fletching.verify(tmp_path).damage == []
