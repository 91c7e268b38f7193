"""The doors: every way into and out of a table, behind one small interface.

A new door (a client, SQL, shared memory) is one class here and one entry in DOORS; then
test_doors.py puts every type through it, written by it and read by the others, and the reverse.

    create(table, schema, key)    makes an empty table
    write(table, rows, patch)     one batch; `patch` keeps the columns that it does not have
    read(table, keys, columns)    Rows, one for each key, in their order
    delete(table, keys)
    carried(column)               what of a column arrives when it is written here: all of it,
                                  unless docs/protocol.md says what a door loses
    shown(column)                 how the door shows a column, for comparing with what it read

`rows` and `keys` are PyArrow tables. Doors meet in one data folder: a Stage hands it from the
embedded writer to the server and back, since only one process may write to it.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import fletching
import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as pq
import pytest
from door_values import (
    NAMES,
    SECONDS_IN_PARQUET,
    bits,
    exact,
    json_values,
    without_non_finite,
)

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"


class Rows(NamedTuple):
    found: list[bool]  # per key
    columns: dict[str, list[Any]]  # a value per key as `shown`, None where a key is absent
    types: dict[str, pa.DataType] | None = None  # of the columns, where the door tells them


# `_idx`, the columns as shown, their types.
Parsed = tuple[list[int], dict[str, list[Any]], dict[str, pa.DataType] | None]


class Stage:
    """One data folder, and whoever holds it now: a database of this process or a server."""

    def __init__(self, folder: Path, start_server: Callable[[], Any]) -> None:
        self.folder = folder
        self.request_count = 0
        self._start_server = start_server
        self._server: Any = None
        self._writer: fletching.Database | None = None

    def server(self) -> Any:
        if self._server is None:
            self.close()
            self._server = self._start_server()
        return self._server

    def writer(self) -> fletching.Database:
        if self._writer is None:
            self.close()
            self._writer = fletching.open(self.folder, "w")
        return self._writer

    @contextmanager
    def reader(self) -> Iterator[fletching.Database]:
        """The writer, or one that reads beside the server."""
        if self._writer is not None:
            yield self._writer
            return
        with fletching.open(self.folder, "r") as beside:
            yield beside

    def close(self) -> None:
        if self._server is not None:
            assert self._server.alive(), self._server.log_path.read_text()
            assert self._server.stop() == 0
        if self._writer is not None:
            self._writer.close()
        self._server = self._writer = None


class Door:
    """What doors have in common."""

    name: ClassVar[str]
    reads: ClassVar[bool] = True

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def carried(self, column: pa.Array) -> pa.Array:
        return column

    def shown(self, column: pa.Array) -> list[Any]:
        return bits(column)


class Embedded(Door):
    name = "embedded"

    def create(self, table: str, schema: pa.Schema, key: list[str]) -> None:
        self.stage.writer().create_table(table, schema, key=key)

    def write(self, table: str, rows: pa.Table, patch: bool) -> None:
        mode = "patch" if patch else "replace"
        written = self.stage.writer().write(table, rows, mode=mode)
        assert written.row_count == rows.num_rows

    def read(self, table: str, keys: pa.Table, columns: list[str]) -> Rows:
        with self.stage.reader() as db:
            return self.rows(db.read(table, keys, columns), columns)

    def rows(self, result: fletching.ReadResult, columns: list[str]) -> Rows:
        batch = result.to_arrow()
        assert batch.schema.names == columns
        found = result.found.tolist()
        assert sum(found) == result.found_count
        types = {field.name: field.type for field in batch.schema}
        return Rows(found, {name: self.shown(batch.column(name)) for name in columns}, types)

    def delete(self, table: str, keys: pa.Table) -> None:
        self.stage.writer().delete(table, keys)


class Http(Door):
    """What is the same whatever a body is made of."""

    accept: ClassVar[str]

    def body(self, rows: pa.Table) -> tuple[Any, str | None]:
        """-> what is sent, its content type"""
        raise NotImplementedError

    def keys_body(self, keys: pa.Table, columns: list[str] | None) -> Any:
        raise NotImplementedError

    def create(self, table: str, schema: pa.Schema, key: list[str]) -> None:
        columns = {
            field.name: {
                "dtype": NAMES[field.type],
                "key": field.name in key,
                "nullable": field.nullable and field.name not in key,
            }
            for field in schema
        }
        self.stage.server().create(table, {"columns": columns})

    def write(self, table: str, rows: pa.Table, patch: bool) -> None:
        body, content_type = self.body(rows)
        mode = "patch" if patch else None
        answer = self.stage.server().write(table, body, mode=mode, content_type=content_type)
        assert answer.headers["fletching-rows"] == str(rows.num_rows)

    def read(self, table: str, keys: pa.Table, columns: list[str]) -> Rows:
        path = f"/api/v1/table/{table}/fetch"
        body = self.keys_body(keys, columns)
        answer = self.stage.server().post(path, body, accept=self.accept)
        assert answer.status == 200, answer
        positions, values, types = self.parse(answer)
        assert list(values) == columns
        found = [False] * keys.num_rows
        dense = {name: [None] * keys.num_rows for name in columns}
        for row, position in enumerate(positions):
            found[position] = True
            for name in columns:
                dense[name][position] = values[name][row]
        assert positions == [at for at in range(keys.num_rows) if found[at]]
        return Rows(found, dense, types)

    def parse(self, answer: Any) -> Parsed:
        raise NotImplementedError

    def delete(self, table: str, keys: pa.Table) -> None:
        answer = self.stage.server().post(
            f"/api/v1/table/{table}/delete", self.keys_body(keys, None)
        )
        assert answer.status == 200, answer
        assert answer.headers["fletching-rows"] == str(keys.num_rows)


class HttpArrow(Http):
    name = "HTTP Arrow"
    accept = ARROW

    def body(self, rows: pa.Table) -> tuple[Any, str | None]:
        return rows, None

    def keys_body(self, keys: pa.Table, columns: list[str] | None) -> Any:
        named = None if columns is None else {"columns": json.dumps(columns)}
        return keys.replace_schema_metadata(named)

    def parse(self, answer: Any) -> Parsed:
        table = answer.table.combine_chunks()
        first, *names = table.schema.names
        assert first == "_idx"
        assert table.schema.field("_idx") == pa.field("_idx", pa.uint32(), nullable=False)
        values = {name: self.shown(_whole(table[name])) for name in names}
        types = {name: table.schema.field(name).type for name in names}
        return table["_idx"].to_pylist(), values, types


class HttpJson(Http):
    """JSON lacks NaN and infinities: they are written and shown as null. Dates and times that text
    cannot say are numbers; keys of one request are all text or all numbers."""

    name = "HTTP JSON"
    accept = "application/json"
    times_as_numbers: ClassVar[bool] = False

    def carried(self, column: pa.Array) -> pa.Array:
        return without_non_finite(column)

    def shown(self, column: pa.Array) -> list[Any]:
        rows = json_values(column)
        return [None if row is None else exact(row) for row in rows]

    def body(self, rows: pa.Table) -> tuple[Any, str | None]:
        columns = {
            name: json_values(_whole(rows[name]), self.times_as_numbers)
            for name in rows.schema.names
        }
        return {"columns": columns}, None

    def keys_body(self, keys: pa.Table, columns: list[str] | None) -> Any:
        sent = {name: self._key_values(_whole(keys[name])) for name in keys.schema.names}
        return {"keys": sent, **({} if columns is None else {"columns": columns})}

    def _key_values(self, column: pa.Array) -> list[Any]:
        values = json_values(column, self.times_as_numbers)
        if any(isinstance(value, int) for value in values):
            return json_values(column, times_as_numbers=True)
        return values

    def parse(self, answer: Any) -> Parsed:
        values = answer.json["columns"]
        positions = values.pop("_idx")
        shown = {
            name: [None if value is None else exact(value) for value in column]
            for name, column in values.items()
        }
        return positions, shown, None


class HttpJsonNumbers(HttpJson):
    """Dates and times are sent as numbers, and answers come as Arrow."""

    name = "HTTP JSON, times as numbers, answered in Arrow"
    accept = ARROW
    times_as_numbers = True
    shown = Door.shown
    parse = HttpArrow.parse


class HttpParquet(HttpArrow):
    """Only writes. Parquet has no seconds, so timestamps that milliseconds cannot say are lost."""

    name = "HTTP Parquet"
    reads = False

    def body(self, rows: pa.Table) -> tuple[Any, str | None]:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, row_group_size=3)
        return sink.getvalue().to_pybytes(), PARQUET

    def carried(self, column: pa.Array) -> pa.Array:
        if not pa.types.is_timestamp(column.type) or column.type.unit != "s":
            return column
        seconds = column.view(pa.int64()).to_pylist()
        fits = [
            None if second is None or abs(second) > SECONDS_IN_PARQUET else second
            for second in seconds
        ]
        return pa.array(fits, pa.int64()).view(column.type)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.chunks else pa.array([], column.type)


class Client(Embedded):
    """Of the package, over HTTP."""

    name = "client"

    @contextmanager
    def connected(self) -> Iterator[Any]:
        host = self.stage.server().address
        with fletching.connect(host) as client:
            yield client

    def create(self, table: str, schema: pa.Schema, key: list[str]) -> None:
        with self.connected() as client:
            client.create_table(table, schema, key=key)

    def write(self, table: str, rows: pa.Table, patch: bool) -> None:
        with self.connected() as client:
            written = client.write(table, rows, mode="patch" if patch else "replace")
        assert written.row_count == rows.num_rows

    def read(self, table: str, keys: pa.Table, columns: list[str]) -> Rows:
        with self.connected() as client:
            return self.rows(client.read(table, keys, columns), columns)

    def delete(self, table: str, keys: pa.Table) -> None:
        with self.connected() as client:
            client.delete(table, keys)


class AsyncClient(Client):
    """Reads in an event loop."""

    name = "async client"

    def read(self, table: str, keys: pa.Table, columns: list[str]) -> Rows:
        async def read() -> fletching.ReadResult:
            async with fletching.connect_async(self.stage.server().address) as client:
                return await client.read(table, keys, columns)

        return self.rows(asyncio.run(read()), columns)


class FlightGet(HttpJson):
    """Reads by DoGet with a ticket of JSON, writes by DoPut. Tables are made over HTTP."""

    name = "Flight DoGet"
    carried = Door.carried
    shown = Door.shown

    @contextmanager
    def connected(self) -> Iterator[flight.FlightClient]:
        with flight.connect(f"grpc://{self.stage.server().flight_address}") as client:
            yield client

    def put_descriptor(self, table: str, patch: bool) -> flight.FlightDescriptor:
        if not patch:
            return flight.FlightDescriptor.for_path(table)
        return flight.FlightDescriptor.for_command(json.dumps({"table": table, "mode": "patch"}))

    def write(self, table: str, rows: pa.Table, patch: bool) -> None:
        with self.connected() as client:
            writer, answers = client.do_put(self.put_descriptor(table, patch), rows.schema)
            with writer:
                writer.write_table(rows, max_chunksize=3)
                writer.done_writing()
                written = json.loads(answers.read().to_pybytes())
        assert written["rows"] == rows.num_rows

    def read(self, table: str, keys: pa.Table, columns: list[str]) -> Rows:
        ticket = {"table": table, **self.keys_body(keys, columns)}
        sparse = self.sparse(*self.get(ticket), keys.num_rows)
        if keys.schema.types == [pa.string()]:
            (ticket["keys"],) = ticket["keys"].values()
            assert self.dense(*self.get(ticket), keys.num_rows) == sparse
        return sparse

    def get(self, ticket: dict[str, Any]) -> tuple[pa.RecordBatch, bytes]:
        """-> the one batch of the answer, and what came with it"""
        with self.connected() as client:
            reader = client.do_get(flight.Ticket(json.dumps(ticket)))
            chunk = reader.read_chunk()
            with pytest.raises(StopIteration):
                reader.read_chunk()
        return chunk.data, chunk.app_metadata.to_pybytes()

    def sparse(self, batch: pa.RecordBatch, note: bytes, key_count: int) -> Rows:
        assert batch.schema.field(0) == pa.field("_idx", pa.uint32(), nullable=False)
        assert len(note) == 16
        positions, *values = batch.columns
        at = {position: row for row, position in enumerate(positions.to_pylist())}
        assert list(at) == sorted(at)
        where = [at.get(position) for position in range(key_count)]
        names = batch.schema.names[1:]
        shown = {}
        for name, column in zip(names, values, strict=True):
            rows = self.shown(column)
            shown[name] = [None if row is None else rows[row] for row in where]
        types = {name: batch.schema.field(name).type for name in names}
        return Rows([row is not None for row in where], shown, types)

    def dense(self, batch: pa.RecordBatch, note: bytes, key_count: int) -> Rows:
        bits_of_keys = note[16:]
        assert len(bits_of_keys) == (key_count + 7) // 8
        found = [bool(bits_of_keys[at // 8] >> (at % 8) & 1) for at in range(key_count)]
        assert batch.num_rows == key_count
        names = batch.schema.names
        shown = {name: self.shown(batch.column(name)) for name in names}
        return Rows(found, shown, {name: batch.schema.field(name).type for name in names})


class FlightExchange(FlightGet):
    """Reads by DoExchange: the keys in two batches, answered densely and with hits alone."""

    name = "Flight DoExchange"

    def read(self, table: str, keys: pa.Table, columns: list[str]) -> Rows:
        halves = [keys.slice(0, keys.num_rows // 2), keys.slice(keys.num_rows // 2)]
        with self.connected() as client:
            dense = self.joined(client, table, halves, columns, "dense")
            assert self.joined(client, table, halves, columns, "hits") == dense
        return dense

    def joined(
        self,
        client: flight.FlightClient,
        table: str,
        batches: list[pa.Table],
        columns: list[str],
        answer: str,
    ) -> Rows:
        metadata = {"columns": json.dumps(columns), "answer": answer}
        schema = batches[0].schema.with_metadata(metadata)
        writer, reader = client.do_exchange(flight.FlightDescriptor.for_path(table))
        parts = []
        with writer:
            writer.begin(schema)
            for at, batch in enumerate(batches):
                arrays = [_whole(column) for column in batch.columns]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
                chunk = reader.read_chunk()
                note = chunk.app_metadata.to_pybytes()
                assert int.from_bytes(note[:8], "little") == at
                shape = self.dense if answer == "dense" else self.sparse
                parts.append(shape(chunk.data, note, batch.num_rows))
            writer.done_writing()
            with pytest.raises(StopIteration):
                reader.read_chunk()
        first, second = parts
        together = {name: first.columns[name] + second.columns[name] for name in columns}
        return Rows(first.found + second.found, together, first.types)


DOORS: list[type[Door]] = [
    Embedded,
    HttpArrow,
    HttpJson,
    HttpJsonNumbers,
    HttpParquet,
    Client,
    AsyncClient,
    FlightGet,
    FlightExchange,
]
