"""The real client of the newer generation, from PyPI, against fletchingd."""

import asyncio

import pyarrow as pa
import pytest

client_module = pytest.importorskip("murr.client", reason="murr 0.3.1 is not installed")
Client, ColumnSchema, DType, TableSchema = (
    client_module.Client,
    client_module.ColumnSchema,
    client_module.DType,
    client_module.TableSchema,
)

SCHEMA = TableSchema(
    columns={
        "user": ColumnSchema(dtype=DType.UTF8, key=True, nullable=False),
        "item": ColumnSchema(dtype=DType.INT64, key=True, nullable=False),
        "score": ColumnSchema(dtype=DType.FLOAT32, strict=False),
    }
)
ROWS = pa.table({"user": ["a", "b", "c"], "item": [1, 2, 3], "score": [0.5, None, 2.5]})


def run(server, steps):
    async def inner():
        async with Client(server.url) as client:
            return await steps(client)

    return asyncio.run(inner())


def test_create_write_read_list_and_drop(server):
    async def steps(client):
        await client.create_table("trips", SCHEMA)
        assert (await client.list_tables())["trips"] == SCHEMA
        assert await client.get_schema("trips") == SCHEMA
        await client.write("trips", ROWS)
        keys = {"user": ["c", "x", "b"], "item": [3, 3, 2]}
        found = await client.read("trips", keys, ["score"])
        assert found.schema.field("_idx").type == pa.uint32()
        assert found.to_pydict() == {"_idx": [0, 2], "score": [2.5, None]}
        await client.compact("trips")
        assert (await client.read("trips", keys, [])).to_pydict() == {"_idx": [0, 2]}
        await client.drop_table("trips")
        assert "trips" not in await client.list_tables()

    run(server, steps)


def test_every_dtype_of_the_client(server):
    values = {
        DType.UTF8: ["é", None],
        DType.BOOL: [True, None],
        DType.FLOAT32: [0.5, None],
        DType.FLOAT64: [0.1, None],
    }
    for bits in (8, 16, 32, 64):
        values[DType(f"int{bits}")] = [-(2 ** (bits - 1)), None]
        values[DType(f"uint{bits}")] = [2**bits - 1, None]
    columns = {dtype.value: ColumnSchema(dtype=dtype) for dtype in values}
    columns["k"] = ColumnSchema(dtype=DType.UTF8, key=True, nullable=False)
    types = {"utf8": pa.utf8(), "bool": pa.bool_()}
    data = {
        dtype.value: pa.array(column, types.get(dtype.value) or pa.type_for_alias(dtype.value))
        for dtype, column in values.items()
    }

    async def steps(client):
        await client.create_table("dtypes", TableSchema(columns=columns))
        await client.write("dtypes", pa.table({"k": ["a", "b"], **data}))
        found = await client.read("dtypes", {"k": ["a", "b"]}, list(data))
        assert found.drop_columns(["_idx"]).equals(pa.table(data))

    run(server, steps)


def test_errors_become_the_clients_exceptions(server):
    async def steps(client):
        with pytest.raises(client_module.TableNotFoundError, match="'none' does not exist"):
            await client.get_schema("none")
        await client.create_table("taken", SCHEMA)
        with pytest.raises(client_module.TableAlreadyExistsError):
            await client.create_table("taken", SCHEMA)
        with pytest.raises(client_module.InvalidRequestError, match="score"):
            await client.write("taken", ROWS.drop_columns(["score"]))
        with pytest.raises(client_module.InvalidRequestError, match="nothing"):
            await client.read("taken", {"user": ["a"], "item": [1]}, ["nothing"])
        with pytest.raises(client_module.InvalidRequestError):
            await client.read("taken", {"user": ["a"], "item": ["1"]}, ["score"])

    run(server, steps)


def test_many_readers_and_writers_at_once(server):
    async def steps(client):
        await client.create_table("busy", SCHEMA)

        async def one(n):
            row = pa.table({"user": [f"u{n}"], "item": [n], "score": [float(n)]})
            await client.write("busy", row)
            found = await client.read("busy", {"user": [f"u{n}"], "item": [n]}, ["score"])
            assert found.to_pydict() == {"_idx": [0], "score": [float(n)]}

        await asyncio.gather(*(one(n) for n in range(100)))

    run(server, steps)


def test_a_server_told_to_show_the_newer_form_serves_the_client_beside_older_tables(make_server):
    server = make_server("--compat-schema", "head")
    server.create("old", {"key": "k", "columns": {"k": {"dtype": "utf8"}}})

    async def steps(client):
        assert (await client.list_tables())["old"].key_columns == ["k"]

    run(server, steps)
