"""Requests for our Flight door, built beforehand, with the answers that are due."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.flight

from rivals.data import KeySets, Table
from rivals.measure import Checks

NAME = "bench"


def gets(client: Any, table: Table, sets: KeySets) -> Iterator[tuple[bytes, bytes]]:
    """DoGet of every set once: (ticket, answer as an Arrow stream), compared with the formula."""
    checks = Checks(sets)
    for index, keys in enumerate(sets.keys):
        asked = keys if table.key_type == "utf8" else {"id": keys}
        ticket = {"table": NAME, "keys": asked, "columns": table.shape.read_names}
        request = json.dumps(ticket).encode()
        answer = client.do_get(pyarrow.flight.Ticket(request)).read_all()
        check(answer, checks, index)
        yield request, stream(answer.combine_chunks().to_batches()[0])


def asks(client: Any, table: Table, sets: KeySets) -> Iterator[tuple[bytes, bytes]]:
    """The same of look-ups on one DoExchange: (keys, answer), both as Arrow streams."""
    checks = Checks(sets)
    columns = {"columns": json.dumps(table.shape.read_names)}
    schema = pa.schema([("id", table.schema.field("id").type)], metadata=columns)
    writer, reader = client.do_exchange(pyarrow.flight.FlightDescriptor.for_path(NAME))
    with writer:
        writer.begin(schema)
        for index, numbers in enumerate(sets.numbers):
            batch = pa.record_batch([table.key_array(numbers)], schema=schema)
            writer.write_batch(batch)
            answer = reader.read_chunk().data
            check(answer, checks, index)
            yield stream(batch), stream(answer)


def check(answer: pa.Table | pa.RecordBatch, checks: Checks, index: int) -> None:
    """Dense answers have a row a key; sparse ones say in `_idx` which keys they have."""
    frame = answer.to_pandas()
    if "_idx" in frame:
        frame = frame.set_index("_idx").reindex(range(len(checks.expected(index))))
    checks.frame(frame, index)


def stream(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()
