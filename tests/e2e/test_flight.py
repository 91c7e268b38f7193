"""The Flight door as PyArrow's own client sees it: schemas, tickets, writes, exchanges, errors."""

import json
import random
import struct
import subprocess
import sys

import pyarrow as pa
import pytest
from pyarrow import flight

SCHEMA = {
    "columns": {
        "id": {"dtype": "utf8", "key": True, "nullable": False},
        "score": {"dtype": "float32", "strict": False},
        "n": {"dtype": "int64"},
    }
}
ID = (("id", pa.string()),)
ROWS = pa.table({"id": ["a", "b", "c"], "score": [0.5, None, 2.0], "n": [1, 2, None]})
PAIR = {
    "columns": {
        "user": {"dtype": "utf8", "key": True, "nullable": False},
        "item": {"dtype": "int32", "key": True, "nullable": False},
        "v": {"dtype": "int64", "nullable": False},
    }
}

# What PyArrow makes of UNAVAILABLE, with streams and without.
UNAVAILABLE = (flight.FlightUnavailableError, OSError)


@pytest.fixture
def client(server):
    with flight.connect(f"grpc://{server.flight_address}") as connected:
        yield connected


@pytest.fixture
def docs(server, client, table):
    server.create(table, SCHEMA)
    put(client, table, ROWS)
    return table


def path(table):
    return flight.FlightDescriptor.for_path(table)


def put(client, descriptor, rows, **options):
    """-> {"rows": n, "version": v}"""
    if isinstance(descriptor, dict):
        descriptor = flight.FlightDescriptor.for_command(json.dumps(descriptor))
    elif isinstance(descriptor, str):
        descriptor = path(descriptor)
    options = flight.FlightCallOptions(write_options=pa.ipc.IpcWriteOptions(**options))
    writer, answers = client.do_put(descriptor, rows.schema, options)
    with writer:
        writer.write_table(rows)
        writer.done_writing()
        answer = answers.read()
    return json.loads(answer.to_pybytes())


def get(client, ticket):
    text = ticket if isinstance(ticket, bytes | str) else json.dumps(ticket)
    return client.do_get(flight.Ticket(text)).read_all().to_pydict()


def exchange(client, table, columns='["n"]', answer=None, types=ID):
    metadata = {"columns": columns} | ({} if answer is None else {"answer": answer})
    schema = pa.schema(types, metadata={k: v for k, v in metadata.items() if v is not None})
    writer, reader = client.do_exchange(path(table))
    writer.begin(schema)
    return writer, reader, schema


def ask(stream, *columns):
    """-> the answer's rows, number of the request, version, found bits"""
    writer, reader, schema = stream
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    chunk = reader.read_chunk()
    note = chunk.app_metadata.to_pybytes()
    return chunk.data.to_pydict(), *struct.unpack_from("<QQ", note), note[16:]


# -- schemas ----------------------------------------------------------------------------------


def test_schemas_say_the_key_and_what_may_be_null(server, client, table):
    server.create(table, PAIR)
    schema = client.get_schema(path(table)).schema
    assert schema == pa.schema(
        [
            pa.field("user", pa.string(), nullable=False),
            pa.field("item", pa.int32(), nullable=False),
            pa.field("v", pa.int64(), nullable=False),
        ]
    )
    assert json.loads(schema.metadata[b"key"]) == ["user", "item"]
    info = client.get_flight_info(path(table))
    assert info.schema == schema
    assert (info.endpoints, info.total_records, info.total_bytes) == ([], -1, -1)
    listed = {info.descriptor.path[0].decode(): info.schema for info in client.list_flights()}
    assert listed[table] == schema


def test_one_key_column_is_named_as_it_is(client, docs):
    assert client.get_schema(path(docs)).schema.metadata == {b"key": b"id"}


# -- tickets ----------------------------------------------------------------------------------


def test_a_list_of_keys_is_answered_densely_and_a_map_sparsely(client, docs):
    ticket = {"table": docs, "keys": ["c", "no", "a", "c"], "columns": ["n", "score"]}
    assert get(client, ticket) == {"n": [None, None, 1, None], "score": [2.0, None, 0.5, 2.0]}
    ticket["keys"] = {"id": ["c", "no", "a", "c"]}
    expected = {"_idx": [0, 2, 3], "n": [None, 1, None], "score": [2.0, 0.5, 2.0]}
    assert get(client, ticket) == expected


def test_no_columns_tell_which_keys_exist(client, docs):
    assert get(client, {"table": docs, "keys": {"id": ["x", "b"]}, "columns": []}) == {"_idx": [1]}


def test_answers_carry_the_version_and_the_found_bits(client, docs):
    ticket = {"table": docs, "keys": ["a", "no", "c"], "columns": []}
    chunk = client.do_get(flight.Ticket(json.dumps(ticket))).read_chunk()
    note = chunk.app_metadata.to_pybytes()
    assert struct.unpack_from("<QQ", note) == (0, 1)
    assert note[16:] == bytes([0b101])


# -- errors -----------------------------------------------------------------------------------

WRONG_TICKETS = {
    "": "JSON",
    "{": "JSON",
    "[]": "it must be an object",
    "{}": "no member 'keys'",
    '{"keys": ["a"], "columns": []}': "no member 'table'",
    '{"table": 1, "keys": ["a"], "columns": []}': "the table's name",
    '{"table": "T", "keys": ["a"]}': "no member 'columns'",
    '{"table": "T", "keys": ["a"], "columns": ["zz"]}': "column 'zz' does not exist",
    '{"table": "T", "keys": ["a"], "columns": ["id"]}': "key column",
    '{"table": "T", "keys": [1], "columns": []}': "",
    '{"table": "T", "keys": {"x": ["a"]}, "columns": []}': "x",
    '{"table": "T", "keys": {"id": ["a"]}, "columns": [], "more": 1}': "'more'",
    '{"table": "T", "keys": {"id": [null]}, "columns": []}': "null",
}


@pytest.mark.parametrize("ticket", WRONG_TICKETS, ids=range(len(WRONG_TICKETS)))
def test_a_wrong_ticket_is_an_invalid_argument(client, docs, ticket):
    with pytest.raises(pa.ArrowInvalid) as caught:
        get(client, ticket.replace('"T"', json.dumps(docs)))
    assert WRONG_TICKETS[ticket] in str(caught.value)


def test_an_unknown_table_is_a_key_error_everywhere(client):
    ticket = {"table": "nobody", "keys": ["a"], "columns": []}
    for call in (
        lambda: get(client, ticket),
        lambda: client.get_schema(path("nobody")),
        lambda: client.get_flight_info(path("nobody")),
        lambda: put(client, "nobody", ROWS),
        lambda: exchange(client, "nobody")[1].read_chunk(),
    ):
        with pytest.raises(pa.ArrowKeyError, match="table 'nobody' does not exist"):
            call()


def test_a_descriptor_is_a_path_of_one_part(client, docs):
    wrong = [
        flight.FlightDescriptor.for_path(),
        flight.FlightDescriptor.for_path(docs, "more"),
        flight.FlightDescriptor.for_command(b"{}"),
    ]
    for descriptor in wrong:
        for call in (client.get_schema, client.get_flight_info):
            with pytest.raises(pa.ArrowInvalid, match=r"path of one part|'table'"):
                call(descriptor)
        with pytest.raises(pa.ArrowInvalid, match=r"path of one part|'table'"):
            put(client, descriptor, ROWS)


def test_what_is_not_offered_is_unimplemented(client):
    for call in (
        lambda: list(client.do_action("compact")),
        lambda: list(client.list_actions()),
        lambda: client.authenticate_basic_token("a", "b"),
    ):
        with pytest.raises(NotImplementedError):
            call()


class Trailers(flight.ClientMiddlewareFactory):
    """Keeps what the server sent beside its answers."""

    def __init__(self):
        super().__init__()
        self.seen = {}

    def start_call(self, info):
        seen = self.seen

        class Kept(flight.ClientMiddleware):
            def received_headers(self, headers):
                seen.update(headers)

        return Kept()


def test_the_code_of_an_error_is_named(server, docs):
    kept = Trailers()
    wrong = pa.table({"id": ["a"], "score": ["x"], "n": [1]})
    with (
        flight.connect(f"grpc://{server.flight_address}", middleware=[kept]) as client,
        pytest.raises(pa.ArrowInvalid),
    ):
        put(client, docs, wrong)
    assert kept.seen["fletching-error"] == ["schema_mismatch"]


# -- writes -----------------------------------------------------------------------------------


def test_all_batches_of_a_put_are_one_write(server, client, docs):
    writer, answers = client.do_put(path(docs), ROWS.schema)
    with writer:
        for at in range(100):
            rows = {"id": [f"k{at}", "same"], "score": [at, at], "n": [at, at]}
            writer.write_table(pa.table(rows, schema=ROWS.schema))
        writer.done_writing()
        assert json.loads(answers.read().to_pybytes()) == {"rows": 200, "version": 2}
    assert server.fetch(docs, ["k0", "k99", "same"], ["n"]) == {"n": [0, 99, 99]}


def test_a_put_casts_and_patches_as_over_http(server, client, docs):
    narrow = pa.table({"id": ["a"], "n": pa.array([7], pa.int8()), "other": ["ignored"]})
    assert put(client, {"table": docs, "mode": "patch"}, narrow)["rows"] == 1
    assert server.fetch(docs, ["a"], ["n", "score"]) == {"n": [7], "score": [0.5]}
    with pytest.raises(pa.ArrowInvalid, match="score"):
        put(client, docs, narrow)
    strict = {"table": docs, "mode": "patch", "extra_columns": "error"}
    with pytest.raises(pa.ArrowInvalid, match="other"):
        put(client, strict, narrow)


@pytest.mark.parametrize(
    "command",
    ["", "[]", '{"table": 1}', '{"table": "T", "mode": "x"}', '{"table": "T", "x": 1}'],
)
def test_a_wrong_command_writes_nothing(server, client, docs, command):
    descriptor = flight.FlightDescriptor.for_command(command.replace('"T"', json.dumps(docs)))
    with pytest.raises(pa.ArrowInvalid):
        put(client, descriptor, pa.table({"id": ["z"], "score": [1.0], "n": [1]}))
    assert server.fetch(docs, {"id": ["z"]}, [])["_idx"] == []


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_and_empty_puts(server, client, docs, codec):
    assert put(client, docs, ROWS, compression=codec)["rows"] == 3
    assert put(client, docs, ROWS.slice(0, 0), compression=codec)["rows"] == 0
    assert server.fetch(docs, ["c"], ["score"]) == {"score": [2.0]}


def test_a_wrong_batch_anywhere_in_a_put_stores_nothing(server, client, docs):
    schema = pa.schema({"id": pa.string(), "score": pa.float64(), "n": pa.int64()})
    good = pa.table({"id": ["new"], "score": [1.0], "n": [1]}, schema=schema)
    bad = pa.table({"id": [None], "score": [1.0], "n": [1]}, schema=schema)
    with pytest.raises(pa.ArrowInvalid, match="null"):
        put(client, docs, pa.concat_tables([good, bad]))
    assert server.fetch(docs, {"id": ["new"]}, [])["_idx"] == []


CUT = """
import os, sys
import pyarrow as pa
from pyarrow import flight
client = flight.connect("grpc://" + sys.argv[1])
rows = pa.table({"id": ["cut"], "score": [1.0], "n": [1]})
writer, answers = client.do_put(flight.FlightDescriptor.for_path(sys.argv[2]), rows.schema)
for _ in range(int(sys.argv[3])):
    writer.write_table(rows)
print("sent", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("batches", [0, 1, 50])
def test_a_put_whose_client_dies_stores_nothing(server, docs, batches):
    """gRPC tells the end of a stream and its loss alike, for a moment."""
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CUT, server.flight_address, docs, str(batches)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert child.stdout.readline() == b"sent\n"
        child.kill()
        child.communicate()
    with flight.connect(f"grpc://{server.flight_address}") as client:
        assert put(client, docs, ROWS)["version"] == 2  # so the lost ones made none
    assert server.fetch(docs, {"id": ["cut"]}, [])["_idx"] == []


# -- exchanges --------------------------------------------------------------------------------


def test_many_look_ups_on_one_stream(client, docs):
    stream = exchange(client, docs)
    assert stream[1].schema.names == ["n"]  # before any key was sent
    assert ask(stream, ["a", "no", "b"]) == ({"n": [1, None, 2]}, 0, 1, bytes([0b101]))
    put(client, docs, pa.table({"id": ["a"], "score": [0.0], "n": [9]}))
    assert ask(stream, ["a"]) == ({"n": [9]}, 1, 2, b"\1")
    assert ask(stream, []) == ({"n": []}, 2, 2, b"")
    stream[0].done_writing()
    with pytest.raises(StopIteration):
        stream[1].read_chunk()
    stream[0].close()


def test_an_exchange_of_hits(client, docs):
    stream = exchange(client, docs, columns="*", answer="hits")
    rows = {"_idx": [1, 2], "score": [2.0, 0.5], "n": [None, 1]}
    assert ask(stream, ["no", "c", "a"]) == (rows, 0, 1, b"")
    assert ask(stream, ["no"])[0] == {"_idx": [], "score": [], "n": []}
    stream[0].close()


def test_an_exchange_with_a_key_of_two_columns_in_any_order(server, client, table):
    server.create(table, PAIR)
    put(client, table, pa.table({"user": ["u"], "item": pa.array([3], pa.int32()), "v": [5]}))
    types = (("item", pa.int16()), ("user", pa.large_string()))
    stream = exchange(client, table, columns='["v"]', types=types)
    assert ask(stream, [3, 4], ["u", "u"])[0] == {"v": [5, None]}
    stream[0].close()


@pytest.mark.parametrize(
    ("columns", "answer", "types", "why"),
    [
        (None, None, ID, "'columns' is missing"),
        ("[1]", None, ID, "JSON list"),
        ('["zz"]', None, ID, "column 'zz' does not exist"),
        ("*", "some", ID, "'dense' or 'hits'"),
        ("*", None, (("x", pa.string()),), "lack the key column"),
        ("*", None, (("id", pa.int64()),), "int64"),
    ],
)
def test_an_exchange_that_cannot_begin_says_why(client, docs, columns, answer, types, why):
    writer, reader, _ = exchange(client, docs, columns, answer, types)
    with pytest.raises(pa.ArrowInvalid, match=why):
        reader.read_chunk()
    with pytest.raises(pa.ArrowInvalid):
        writer.close()


def test_wrong_keys_end_an_exchange(client, docs):
    stream = exchange(client, docs)
    assert ask(stream, ["a"])[1] == 0
    with pytest.raises(pa.ArrowInvalid, match="null"):
        ask(stream, [None])


def test_an_exchange_notices_that_the_columns_are_others(server, client, docs):
    stream = exchange(client, docs, columns="*")
    ask(stream, ["a"])
    column = {"name": "more", "dtype": "int8"}
    assert server.post(f"/api/v1/table/{docs}/columns", column).status == 201
    with pytest.raises(pa.ArrowInvalid, match="open a new exchange"):
        ask(stream, ["a"])


# -- hostile input ------------------------------------------------------------------------------


def test_random_tickets_never_harm(server, client, docs):
    seed = random.randrange(2**32)
    print("seed", seed)
    source = random.Random(seed)
    good = json.dumps({"table": docs, "keys": {"id": ["a", "b"]}, "columns": ["n"]}).encode()
    for _ in range(300):
        text = bytearray(good[: source.randrange(len(good) + 1)])
        for _ in range(source.randrange(4)):
            if text:
                text[source.randrange(len(text))] = source.randrange(256)
        try:
            get(client, bytes(text))
        except (pa.ArrowInvalid, pa.ArrowKeyError):
            continue
    assert server.alive()


def test_a_small_batch_that_unfolds_to_gigabytes_is_refused(server, client, docs):
    zeros = pa.py_buffer(bytes(300 << 20))
    column = pa.Array.from_buffers(pa.int64(), len(zeros) // 8, [None, zeros])
    rows = pa.table({"id": pa.nulls(len(column), pa.string()), "score": column, "n": column})
    before = server.rss_bytes()
    with pytest.raises(pa.ArrowInvalid, match=r"memory|may have"):
        put(client, docs, rows, compression="zstd")
    assert server.rss_bytes(peak=True) - before < 400 << 20
    assert server.alive()


def test_more_columns_than_any_table_has_are_refused(server, client, docs):
    rows = pa.table({f"c{at}": pa.array([], pa.int8()) for at in range(10_001)})
    with pytest.raises(pa.ArrowInvalid, match="more than 10000 columns"):
        put(client, docs, rows)
    assert server.alive()
