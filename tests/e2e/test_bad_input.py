"""Bodies that are wrong in every way: a 4xx that names the cause, nothing written, no crash."""

import io
import json
import random
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
SCHEMA = {
    "columns": {
        "k": {"dtype": "utf8", "key": True, "nullable": False},
        "v": {"dtype": "int64", "nullable": True},
        "t": {"dtype": "list<utf8>"},
    }
}
ROWS = pa.table({"k": ["a", "b", "c"], "v": [1, 2, 3], "t": [["x"], [], None]})


def as_arrow(rows=ROWS, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def as_parquet(rows=ROWS, **options):
    sink = io.BytesIO()
    pq.write_table(rows, sink, **options)
    return sink.getvalue()


@pytest.fixture
def empty(server, table):
    server.create(table, SCHEMA)
    return table


def found(server, table, keys=("a", "b", "c")):
    return len(server.fetch(table, {"k": list(keys)}, [])["_idx"])


class Writer:
    """Sends bodies over one connection, which every refusal must leave usable."""

    def __init__(self, server, table, content_type):
        self.connection = server.connect()
        self.path = f"/api/v1/table/{table}/write"
        self.content_type = content_type

    def send(self, body):
        headers = {"content-type": self.content_type}
        self.connection.request("PUT", self.path, body=body, headers=headers)
        response = self.connection.getresponse()
        text = response.read()
        if response.status != 200:
            assert 400 <= response.status < 500, (response.status, text)
            assert list(json.loads(text)) == ["error"]
            assert json.loads(text)["error"]
        return response.status


def test_a_parquet_file_cut_at_every_length(server, empty):
    good = as_parquet()
    writer = Writer(server, empty, PARQUET)
    for length in range(len(good)):
        assert writer.send(good[:length]) == 400, length
    assert found(server, empty) == 0
    assert writer.send(good) == 200


def test_an_arrow_stream_cut_at_every_length(server, empty):
    good = as_arrow()
    writer = Writer(server, empty, ARROW)
    end_of_batch = len(good) - 8  # the last eight bytes only say that no more follows
    for length in range(len(good)):
        status = writer.send(good[:length])
        if length < end_of_batch:
            assert status == 400 or found(server, empty) == 0, length
    assert writer.send(good) == 200


@pytest.mark.parametrize("kind", ["arrow", "arrow-zstd", "parquet", "parquet-snappy"])
def test_flipped_bits(server, empty, kind):
    good = {
        "arrow": as_arrow,
        "arrow-zstd": lambda: as_arrow(compression="zstd"),
        "parquet": lambda: as_parquet(compression="none"),
        "parquet-snappy": as_parquet,
    }[kind]()
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    writer = Writer(server, empty, ARROW if kind.startswith("arrow") else PARQUET)
    for _ in range(400):
        bad = bytearray(good)
        for _ in range(rng.choice([1, 1, 2, 8])):
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        writer.send(bytes(bad))
    assert server.alive()


def offsets(*numbers):
    return b"".join(number.to_bytes(4, "little", signed=True) for number in numbers)


LIES = [
    (offsets(0, 1, 2, 3), offsets(0, 1, 2, 1_000_000)),  # beyond the data
    (offsets(0, 1, 2, 3), offsets(0, 3, 1, 3)),  # falling
    (offsets(0, 1, 2, 3), offsets(-1, 1, 2, 3)),
    (offsets(0, 1, 2, 3), offsets(0, 2**30, 2, 3)),
    (b"qzj", b"q\xffj"),  # no UTF-8
]


@pytest.mark.parametrize("lie", LIES)
def test_lying_bytes_never_reach_a_value(server, empty, lie):
    rows = pa.table({"k": ["q", "z", "j"], "v": [1, 2, 3], "t": pa.nulls(3, pa.list_(pa.utf8()))})
    good = as_arrow(rows)
    assert lie[0] in good
    writer = Writer(server, empty, ARROW)
    assert writer.send(good.replace(*lie, 1)) == 400
    assert found(server, empty, "qzj") == 0
    keys = as_arrow(rows.select(["k"]).replace_schema_metadata({"columns": "[]"}))
    path = f"/api/v1/table/{empty}/fetch"
    assert server.post(path, keys.replace(*lie, 1), content_type=ARROW).status == 400


def test_wild_dictionary_indices_and_list_offsets(server, empty):
    wild = pa.table(
        {
            "k": pa.array(["q", "z", "j"]).dictionary_encode(),
            "v": [1, 2, 3],
            "t": pa.nulls(3, pa.list_(pa.utf8())),
        }
    )
    good = as_arrow(wild)
    assert offsets(0, 1, 2) in good
    last = good.rindex(offsets(0, 1, 2))
    bad = good[:last] + offsets(0, 1, 99) + good[last + 12 :]
    writer = Writer(server, empty, ARROW)
    assert writer.send(bad) == 400
    lists = pa.table({"k": ["a"] * 3, "v": [1, 2, 3], "t": [["x"] * 5, ["x"] * 6, ["x"]]})
    good = as_arrow(lists)
    assert writer.send(good.replace(offsets(0, 5, 11, 12), offsets(0, 5, 50, 12))) == 400
    assert writer.send(good.replace(offsets(0, 5, 11, 12), offsets(0, 5, 11, 99))) == 400
    assert found(server, empty) == 0


def test_bombs_are_refused_however_many_come_at_once(make_server, run_threads):
    server = make_server()
    server.create("t", SCHEMA)
    before = server.rss_bytes()
    schema = pa.schema([("k", pa.utf8()), ("v", pa.int64()), ("t", pa.list_(pa.utf8()))])
    rows = pa.table({"k": ["x" * (8 << 20)] * 60, "v": [1] * 60, "t": [None] * 60}, schema=schema)
    arrow = as_arrow(rows, compression="zstd")
    parquet = as_parquet(rows, compression="zstd", use_dictionary=False)
    assert len(arrow) < 1 << 20

    def send(body, kind):
        answer = server.put("/api/v1/table/t/write", body, content_type=kind)
        assert answer.status in (400, 413), answer

    run_threads(*([lambda: send(arrow, ARROW), lambda: send(parquet, PARQUET)] * 12))
    assert server.rss_bytes(peak=True) - before < 1400 << 20
    assert server.alive()
    assert found(server, "t", ["x"]) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"columns": 1}',
        b'{"columns": {}}',
        b'{"columns": {"k": ["a"], "v": [1]}}',
        b'{"columns": {"k": ["a"], "v": [1, 2], "t": [null]}}',
        b'{"columns": {"k": ["a"], "v": ["1"], "t": [null]}}',
        b'{"columns": {"k": ["a"], "v": [9223372036854775808], "t": [null]}}',
        b'{"columns": {"k": ["a"], "v": [1.5], "t": [null]}}',
        b'{"columns": {"k": ["a"], "v": [NaN], "t": [null]}}',
        b'{"columns": {"k": [null], "v": [1], "t": [null]}}',
        b'{"columns": {"k": ["a"], "v": [1], "t": ["x"]}}',
        b'{"columns": {"k": ["a"], "v": [1], "t": [[1]]}}',
        b'{"columns": {"k": ["a"], "k": ["b"], "v": [1], "t": [null]}}',
        b'{"columns": {"k": ["\xff"], "v": [1], "t": [null]}}',
        b'{"columns": {"k": ["\\ud800"], "v": [1], "t": [null]}}',
        b'{"columns": {"k": ["a"], "v": [1], "t": [null]}} x',
        b'{"columns": {"k": {"a": 1}, "v": [1], "t": [null]}}',
        b"[" * 100_000,
        b'{"columns":' * 10_000,
    ],
)
def test_wrong_json_writes(server, empty, body):
    answer = server.put(f"/api/v1/table/{empty}/write", body, content_type="application/json")
    assert answer.status == 400, answer
    assert answer.error
    assert found(server, empty, ["a", "b"]) == 0


def test_wrong_columns_are_named(server, empty):
    cases = {
        "'v'": ROWS.set_column(1, "v", [["1", "2", "3"]]),
        "'k'": ROWS.set_column(0, "k", [[1, 2, 3]]),
        "'t'": ROWS.set_column(2, "t", [[[1], [2], [3]]]),
    }
    for name, rows in cases.items():
        for body, kind in ((as_arrow(rows), ARROW), (as_parquet(rows), PARQUET)):
            answer = server.put(f"/api/v1/table/{empty}/write", body, content_type=kind)
            assert answer.status == 400
            assert name in answer.error
    twice = pa.table([ROWS["k"], ROWS["v"], ROWS["v"], ROWS["t"]], names=["k", "v", "v", "t"])
    answer = server.put(f"/api/v1/table/{empty}/write", as_arrow(twice), content_type=ARROW)
    assert answer.status == 400
    assert "'v'" in answer.error
    nulls = ROWS.set_column(0, "k", [["a", None, "c"]])
    assert server.put(f"/api/v1/table/{empty}/write", nulls).status == 400
    assert found(server, empty) == 0


def test_a_fault_in_the_last_batch_writes_nothing(server, empty):
    good = [ROWS.to_batches()[0]] * 50
    body = bytearray(as_arrow(pa.Table.from_batches(good)))
    assert (
        server.put(f"/api/v1/table/{empty}/write", bytes(body[:-200]), content_type=ARROW).status
        == 400
    )
    bad = pa.record_batch(
        {"k": ["a", None, "c"], "v": [1, 2, 3], "t": [None] * 3}, schema=ROWS.schema
    )
    rows = pa.Table.from_batches([*good, bad])
    answer = server.put(f"/api/v1/table/{empty}/write", rows)
    assert answer.status == 400
    assert found(server, empty) == 0


def test_parquet_mangled_by_curl_is_told_so(server, empty, tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(
        as_parquet(
            pa.table(
                {
                    "k": [f"k{i}" for i in range(9000)],
                    "v": range(9000),
                    "t": pa.nulls(9000, pa.list_(pa.utf8())),
                }
            )
        )
    )
    url = f"{server.url}/api/v1/table/{empty}/write"
    for header in (["-H", f"Content-Type: {PARQUET}"], []):
        mangled = ["curl", "-s", "-X", "PUT", *header, "-d", f"@{path}", url]
        error = json.loads(subprocess.run(mangled, capture_output=True, check=True).stdout)["error"]
        assert "--data-binary" in error
    whole = ["curl", "-s", "-X", "PUT", "-H", f"Content-Type: {PARQUET}", "--data-binary"]
    assert subprocess.run([*whole, f"@{path}", url], capture_output=True, check=True).stdout == b""
    assert found(server, empty, ["k0", "k8999"]) == 2


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "%2e%2e",
        "a%2fb",
        "..%2f..%2fetc",
        "a%00b",
        "%",
        "%zz",
        "a b",
        "é",
        "x" * 129,
        "-a",
    ],
)
def test_names_that_are_no_names(server, name):
    path = f"/api/v1/table/{name.replace(' ', '%20').replace('é', '%C3%A9')}"
    assert server.put(path, SCHEMA).status in (400, 404)
    for method, tail, body in [
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/schema", None),
        ("POST", "/fetch", {"keys": ["a"], "columns": []}),
        ("PUT", "/write", {"columns": {"k": ["a"]}}),
        ("POST", "/compact", None),
    ]:
        assert server.request(method, path + tail, body).status in (400, 404)


def test_the_wrong_format_for_the_content_type(server, empty):
    path = f"/api/v1/table/{empty}/write"
    bodies = {ARROW: as_arrow(), PARQUET: as_parquet(), "application/json": b'{"columns": {}}'}
    for claimed in bodies:
        for real, body in bodies.items():
            if real != claimed:
                assert server.put(path, body, content_type=claimed).status == 400, (claimed, real)
    assert found(server, empty) == 0


def test_empty_streams_and_files_are_fine(server, empty):
    none = ROWS.slice(0, 0)
    assert server.write(empty, as_arrow(none), content_type=ARROW).headers["fletching-rows"] == "0"
    server.write(empty, as_parquet(none), content_type=PARQUET)
    server.write(empty, {"columns": {"k": [], "v": [], "t": []}})
