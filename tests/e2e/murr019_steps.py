"""What test_murr019.py lets the older client do, in that client's own environment."""

import asyncio
import sys

import pyarrow as pa
from murr import ColumnSchema, DType, MurrClientAsync, MurrClientSync, TableSchema

SCHEMA = TableSchema(
    key="doc_id",
    columns={
        "doc_id": ColumnSchema(dtype=DType.UTF8, nullable=False),
        "score": ColumnSchema(dtype=DType.FLOAT32),
        "title": ColumnSchema(dtype=DType.UTF8),
    },
)
ROWS = pa.record_batch(
    {
        "doc_id": ["a", "b"],
        "score": pa.array([0.5, None], pa.float32()),
        "title": ["A", "B"],
    }
)
KEYS = ["b", "zz", "a", "a"]
DENSE = {"title": ["B", None, "A", "A"], "score": [None, None, 0.5, 0.5]}


def fails(exception, call, *arguments):
    try:
        call(*arguments)
    except exception as error:
        return str(error)
    raise AssertionError(f"{exception.__name__} was not raised")


def check(answer):
    assert isinstance(answer, pa.RecordBatch), answer
    assert answer.to_pydict() == DENSE, answer.to_pydict()


def sync_steps(url):
    with MurrClientSync(url) as client:
        client.create_table("sync", SCHEMA)
        assert client.list_tables() == {"sync": SCHEMA}
        assert client.get_schema("sync") == SCHEMA
        assert client.read("sync", ["a"], ["score"]).to_pydict() == {"score": [None]}
        client.write("sync", ROWS)
        check(client.read("sync", KEYS, ["title", "score"]))
        client.write("sync", pa.Table.from_batches([ROWS, ROWS]))
        # What pandas makes: float64 and large strings.
        wide = pa.table(
            {"doc_id": ["c"], "score": [0.25], "title": pa.array(["C"], pa.large_utf8())}
        )
        client.write("sync", wide)
        assert client.read("sync", ["c"], ["score"]).to_pydict() == {"score": [0.25]}
        assert "'none' does not exist" in fails(FileNotFoundError, client.get_schema, "none")
        assert "already exists" in fails(ValueError, client.create_table, "sync", SCHEMA)
        assert "'nope'" in fails(RuntimeError, client.read, "sync", ["a"], ["nope"])


async def async_steps(url):
    client = MurrClientAsync(url)
    await client.create_table("async", SCHEMA)
    await client.write("async", ROWS)
    check(await client.read("async", KEYS, ["title", "score"]))
    assert set(await client.list_tables()) == {"sync", "async"}
    await client.close()


sync_steps(sys.argv[1])
asyncio.run(async_steps(sys.argv[1]))
print("done")
