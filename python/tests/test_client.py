"""A server through `fletching.connect`: all calls of a database, and what connections add."""

import asyncio
import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import fletching
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

DOCS = pa.table(
    {
        "id": ["a", "b", "c"],
        "score": pa.array([0.5, None, 1.5], pa.float32()),
        "clicks": pa.array([1, 2, 3], pa.int64()),
    }
)


@pytest.fixture
def url(http):
    return f"http://{http.connection.host}:{http.connection.port}"


@pytest.fixture
def client(url):
    with fletching.connect(url) as connected:
        yield connected


def test_everything_that_a_database_does(client, tmp_path):
    assert client.write("docs", DOCS, key="id") == (3, 1)
    assert client.read("docs", ["c", "x", "a"], ["clicks"]).to_arrow().to_pydict() == {
        "clicks": [3, None, 1]
    }
    frame = client.read("docs", ["a", "b"]).to_pandas()
    assert frame["score"].isna().tolist() == [False, True]
    result = client.read("docs", ["x", "b"], missing="drop")
    assert result.found.tolist() == [False, True]
    assert result.to_arrow()["clicks"].to_pylist() == [2]
    with pytest.raises(fletching.NotFoundError, match="no key 'x'"):
        client.read("docs", ["x"], missing="error")
    assert client.read("docs", ["x"], ["clicks"], fill=7).to_arrow()["clicks"].to_pylist() == [7]
    matrix = client.read_matrix("docs", ["a", "b"], fill=-1)
    assert matrix.tolist() == [[0.5, 1], [-1, 2]]
    assert client.read_matrix("docs", ["b", "a"], fill=-1, out=matrix[::-1]).base is matrix
    assert matrix.tolist() == [[0.5, 1], [-1, 2]]
    with pytest.raises(ValueError, match=r"out has shape \(2, 2\), the answer \(1, 2\)"):
        client.read_matrix("docs", ["a"], out=matrix)
    client.write("docs", {"id": ["a"], "clicks": [9]}, mode="patch")
    assert client.delete("docs", ["c"]).row_count == 1
    assert client["docs"].count == 2
    rows = {row["id"]: row for row in client.scan("docs").read_all().to_pylist()}
    assert rows["a"] == {"id": "a", "score": 0.5, "clicks": 9}
    assert client.scan("docs", ["clicks"], limit=1).read_all().num_rows == 1
    client.add_column("docs", "rank", "int32")
    client.widen_column("docs", "rank", "int64")
    assert client.schema("docs").field("rank").type == pa.int64()
    client.compact("docs")
    assert [table.name for table in client.tables()] == ["docs"]
    assert client.table("docs").key == ["id"]
    assert "docs" in client
    DOCS.to_pandas().to_csv(tmp_path / "docs.csv", index=False)
    assert client.load("more", tmp_path / "docs.csv", "id").row_count == 3
    first, second = client.read_many([("docs", ["a"], ["clicks"]), ("more", ["b"])])
    assert first.to_arrow()["clicks"].to_pylist() == [9]
    assert second.to_arrow()["clicks"].to_pylist() == [2]
    client.drop("docs")
    assert "docs" not in client


def test_keys_of_every_kind(client):
    at = pd.Timestamp("2024-02-29", tz="UTC")
    client.create_table(
        "pairs", {"n": "int32", "t": "timestamp[us, UTC]", "x": "utf8"}, key=["n", "t"]
    )
    client.write(
        "pairs",
        pa.table(
            {
                "n": pa.array([1, 2], pa.int32()),
                "t": pa.array([at, at], pa.timestamp("us", "UTC")),
                "x": ["ü", None],
            }
        ),
    )
    result = client.read("pairs", [(1, at), (2, at), (3, at)])
    assert result.found.tolist() == [True, True, False]
    assert result.to_arrow()["x"].to_pylist() == ["ü", None, None]
    assert client.read("pairs", {"n": np.array([2]), "t": [at]}, []).found.tolist() == [True]
    assert client.read("pairs", []).to_arrow().num_rows == 0


def test_arrays_point_into_the_received_body(client):
    count = 1000
    frame = pa.table(
        {
            "id": [f"k{i}" for i in range(count)],
            **{f"f{i}": pa.array(np.arange(count), pa.float32()) for i in range(10)},
        }
    )
    client.write("wide", frame, key="id")
    tables = client._engine
    keys = [pa.array([f"k{i}" for i in range(count)])]
    call = tables.start_read("wide", keys, [f"f{i}" for i in range(10)])
    call.run()
    batch = pa.record_batch(call.answer(count, False))
    start, size = call.body_range
    for column in batch.columns:
        address = column.buffers()[1].address
        assert start <= address and address + count * 4 <= start + size
        assert column.to_numpy().ctypes.data == address


ERRORS = [
    lambda db: db.read("nothing", ["a"]),
    lambda db: db.read("docs", ["a"], ["nothing"]),
    lambda db: db.read("docs", ["a"], ["id"]),
    lambda db: db.read("docs", [1]),
    lambda db: db.read("docs", [1.5]),
    lambda db: db.read("docs", [None]),
    lambda db: db.read("../x", ["a"]),
    lambda db: db.create_table("docs", DOCS.schema, key="id"),
    lambda db: db.create_table("a/b", DOCS.schema, key="id"),
    lambda db: db.create_table("t", DOCS.schema, key="score"),
    lambda db: db.write("docs", {"id": ["a"], "score": ["x"], "clicks": [1]}),
    lambda db: db.write("docs", {"id": ["a"], "score": [0.5], "clicks": [1], "more": [1]}),
    lambda db: db.write("docs", {"id": ["a"]}),
    lambda db: db.write("docs", {"id": ["a"], "nothing": [1]}, mode="patch"),
    lambda db: db.write("docs", {"id": [None], "score": [0.5], "clicks": [1]}),
    lambda db: db.write("nothing", DOCS),
    lambda db: db.delete("docs", [1]),
    lambda db: db.scan("docs", ["nothing"]),
    lambda db: db.drop("nothing"),
    lambda db: db.widen_column("docs", "clicks", "int8"),
    lambda db: db.widen_column("docs", "nothing", "int8"),
    lambda db: db.add_column("docs", "score", "int8"),
    lambda db: db["nothing"],
]


def test_errors_are_those_of_an_embedded_database(client, db):
    for store in (client, db):
        store.write("docs", DOCS, key="id")
    for number, call in enumerate(ERRORS):
        seen = []
        for store in (db, client):
            with pytest.raises(fletching.FletchingError) as caught:
                call(store)
            seen.append((type(caught.value), str(caught.value)))
        assert seen[0] == seen[1], f"call {number}"


def test_tries_again_while_a_server_comes_back(serve, tmp_path):
    with serve(tmp_path) as http:
        port = http.connection.port
        client = fletching.connect(f"127.0.0.1:{port}", retries=8)
        client.write("docs", DOCS, key="id")
    started = threading.Event()

    def serve_again():
        command = [os.environ["FLETCHINGD"], "--data-dir", str(tmp_path), "--flight", "off"]
        time.sleep(0.5)
        server = subprocess.Popen(
            [*command, "--http", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True
        )
        server.stdout.readline()
        started.wait(60)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)

    thread = threading.Thread(target=serve_again)
    thread.start()
    try:
        assert client.read("docs", ["a"], ["clicks"]).to_arrow()["clicks"].to_pylist() == [1]
        client.write("docs", DOCS)  # nothing had been sent, so this was tried again as well
    finally:
        started.set()
        thread.join()
    with pytest.raises(fletching.UnavailableError, match="is fletchingd running"):
        fletching.connect(f"127.0.0.1:{port}", retries=0).tables()


@contextmanager
def one_answer(answer: bytes, seconds: float = 0):
    """A server that says this to whoever asks, then hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                time.sleep(seconds)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def test_a_server_that_dies_in_the_middle_of_an_answer():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    with one_answer(head + b'{"name"') as url:
        with pytest.raises(fletching.UnavailableError, match="in the middle of its answer"):
            fletching.connect(url, retries=1).table("docs")
        with pytest.raises(fletching.UnavailableError, match="in the middle of its answer"):
            asyncio.run(read_one(url, "docs", ["a"]))


async def read_one(url, table, keys, **options):
    async with fletching.connect_async(url, retries=0, **options) as client:
        return await client.read(table, keys)


def test_a_scan_that_is_cut_says_so(client, url):
    count = 200_000
    client.write("long", pa.table({"id": np.arange(count), "x": np.zeros(count)}), key="id")
    whole = fetch_raw(url, "/api/v1/table/long/rows")
    for cut in (len(whole) // 3, len(whole) // 2, len(whole) - 1):
        with one_answer(whole[:cut]) as broken, pytest.raises(fletching.FletchingError):
            fletching.connect(broken, retries=0).scan("long").read_all()


def fetch_raw(url, target):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            "Accept: application/vnd.apache.arrow.stream\r\n\r\n".encode()
        )
        pieces = []
        while piece := connection.recv(1 << 20):
            pieces.append(piece)
    return b"".join(pieces)


def test_silence_ends_in_a_deadline():
    with one_answer(b"", seconds=3) as url:
        with pytest.raises(fletching.DeadlineError, match="no byte to or from"):
            fletching.connect(url, timeout_ms=200, retries=0).table("docs")
        with pytest.raises(fletching.DeadlineError, match="no byte to or from"):
            asyncio.run(read_cached(url))


async def read_cached(url):
    """A read that goes through the event loop, as the table's key is known."""
    client = fletching.connect_async(url, timeout_ms=200, retries=0)
    info = fletching._native.read_table_info(
        b'{"name":"docs","row_count":0,"disk_bytes":0,"segment_count":0,"version":1,"health":"ok",'
        b'"schema":{"columns":{"id":{"dtype":"utf8","key":true,"nullable":false}}}}'
    )
    client._client._engine._known["docs"] = info
    return await client.read("docs", ["a"])


class OldServer(BaseHTTPRequestHandler):
    """Speaks HTTP, and nothing that we know."""

    def do_GET(self):
        self.send_error(404)

    do_POST = do_PUT = do_GET

    def log_message(self, *_):
        pass


def test_an_old_server_is_named_as_such():
    server = HTTPServer(("127.0.0.1", 0), OldServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(fletching.NotFoundError, match="may be older than this client"):
            fletching.connect(f"127.0.0.1:{server.server_port}").table("docs")
    finally:
        server.shutdown()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://no-such-host.invalid", "cannot find host"),
        ("ftp://host", "no URL of a server"),
        ("http://", "no URL of a server"),
        ("http://host:99999", "no URL of a server"),
        ("http://no-such-host.invalid", "cannot find host"),
    ],
)
def test_urls_that_lead_nowhere(url, words):
    with pytest.raises(fletching.FletchingError, match=words):
        fletching.connect(url)


def test_a_closed_client_says_so(url):
    client = fletching.connect(url)
    client.close()
    with pytest.raises(fletching.InvalidArgumentError, match="closed"):
        client.tables()


def test_threads_share_a_client(client):
    count = 2000
    client.write("n", pa.table({"id": np.arange(count), "x": np.arange(count) * 2}), key="id")
    wrong = []

    def read(seed):
        draw = np.random.default_rng(seed)
        for _ in range(50):
            keys = draw.integers(0, count, 100)
            if not (client.read_matrix("n", keys, dtype=np.int64)[:, 0] == keys * 2).all():
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_child_of_a_fork_has_its_own_connections(client):
    client.write("docs", DOCS, key="id")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        values = client.read("docs", ["a", "c"], ["clicks"]).to_arrow()["clicks"].to_pylist()
        os.write(writer, repr(values).encode())
        os._exit(0)
    for _ in range(50):
        assert client.read("docs", ["b"], ["clicks"]).to_arrow()["clicks"].to_pylist() == [2]
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reader, 100) == b"[1, 3]"


def test_a_client_pickles(client):
    client.write("docs", DOCS, key="id")
    again = pickle.loads(pickle.dumps(client))
    assert again.read("docs", ["b"], ["clicks"]).to_arrow()["clicks"].to_pylist() == [2]


def test_the_async_client_has_every_call(url):
    sync_calls = {name for name in dir(fletching.Client) if not name.startswith("_")}
    async_calls = {name for name in dir(fletching.AsyncClient) if not name.startswith("_")}
    assert sync_calls - async_calls == set()

    async def run():
        async with fletching.connect_async(url, connections_max=8) as client:
            await client.write("docs", DOCS, key="id")
            counted = await client.sql("SELECT count(*) AS n FROM docs WHERE id = $1", ["b"])
            assert counted.to_arrow().to_pylist() == [{"n": 1}]
            results = await asyncio.gather(
                *(client.read("docs", [key], ["clicks"]) for key in "abc" * 100)
            )
            values = [result.to_arrow()["clicks"][0].as_py() for result in results]
            assert values == [1, 2, 3] * 100
            matrix = await client.read_matrix("docs", ["a"], ["clicks"])
            assert matrix.tolist() == [[1]]
            with pytest.raises(fletching.NotFoundError):
                await client.read("nothing", ["a"])
            with pytest.raises(fletching.NotFoundError, match="no key"):
                await client.read("docs", ["x"], missing="error")
            batches = [batch async for batch in client.scan("docs")]
            assert sum(batch.num_rows for batch in batches) == 3
            assert [table.name for table in await client.tables()] == ["docs"]
            assert (await client.delete("docs", ["a"])).row_count == 1
            await client.compact("docs")
            await client.drop("docs")

    asyncio.run(run())


def test_a_cancelled_read_leaves_the_client_usable(url):
    async def run():
        async with fletching.connect_async(url, connections_max=2) as client:
            await client.write("docs", DOCS, key="id")
            await client.read("docs", ["a"])
            cancelled = 0
            for _ in range(50):
                task = asyncio.ensure_future(client.read("docs", ["a"] * 5000))
                await asyncio.sleep(0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    cancelled += 1  # else it was done already
            assert cancelled > 0
            result = await client.read("docs", ["c"], ["clicks"])
            assert result.to_arrow()["clicks"].to_pylist() == [3]

    asyncio.run(run())


INTERRUPTED = """
import fletching, sys
client = fletching.connect(sys.argv[1], timeout_ms=60_000)
print("ready", flush=True)
try:
    client.table("docs")
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_ends_a_call_that_waits():
    with one_answer(b"", seconds=30) as url:
        child = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, url], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=20)
        assert out == "interrupted\n"


def test_a_write_that_its_source_ends_stores_nothing(client):
    client.create_table("t", {"id": "int64", "x": "float64"}, key="id")

    def batches():
        for start in range(0, 10_000, 1000):
            if start == 5000:
                raise RuntimeError("the source broke")
            numbers = np.arange(start, start + 1000)
            yield pa.record_batch({"id": numbers, "x": numbers * 1.0})

    schema = pa.schema({"id": pa.int64(), "x": pa.float64()})
    with pytest.raises(RuntimeError, match="the source broke"):
        client.write("t", pa.RecordBatchReader.from_batches(schema, batches()))
    assert client["t"].count == 0
    heard = []
    client._write_source(
        "t",
        fletching._store.as_source(
            pa.table({"id": np.arange(2_000_000), "x": np.zeros(2_000_000)})
        ),
        None,
        False,
        heard.append,
    )
    assert heard[-1] == 2_000_000
    assert len(heard) > 3


def crowded(serve_tmp):
    """A server that has room for one request at a time."""
    command = [os.environ["FLETCHINGD"], "--data-dir", str(serve_tmp), "--http", "127.0.0.1:0"]
    command += ["--flight", "off"]
    return subprocess.Popen([*command, "--limits-requests", "1"], stdout=subprocess.PIPE, text=True)


def test_rows_that_can_be_taken_once_are_not_lost_by_trying_again(server, tmp_path):
    """A busy server refuses a write whose source is half used: that is an error, or all of it."""
    program = crowded(tmp_path)
    try:
        address = json.loads(program.stdout.readline())["http"]
        client = fletching.connect(address, retries=1)
        client.create_table("t", {"id": "int64", "x": "float64"}, key="id")
        stop = threading.Event()

        def crowd():
            other = fletching.connect(address, retries=0)
            while not stop.is_set():
                with contextlib.suppress(fletching.FletchingError):
                    other.write("t", {"id": np.arange(50_000), "x": np.zeros(50_000)})

        threads = [threading.Thread(target=crowd) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(10):
                first = 1_000_000 + number * 2000
                rows = pa.table({"id": np.arange(first, first + 2000), "x": np.zeros(2000)})
                with contextlib.suppress(fletching.BusyError, fletching.UnavailableError):
                    assert client.write("t", rows.to_reader()).row_count == 2000
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    finally:
        program.send_signal(signal.SIGTERM)
        program.communicate(timeout=30)


def test_what_is_no_fletchingd_is_no_success():
    for head in (b"301 Moved Permanently\r\nLocation: http://elsewhere", b"200 OK"):
        with one_answer(b"HTTP/1.1 " + head + b"\r\nContent-Length: 4\r\n\r\n<ok>") as url:
            client = fletching.connect(url, retries=0)
            with pytest.raises(fletching.UnavailableError):
                client.write("t", DOCS)
            with pytest.raises(fletching.UnavailableError):
                client.tables()


def test_an_answer_right_behind_another_is_seen():
    both = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"
    with one_answer(both, seconds=3) as url, pytest.raises(fletching.NotFoundError):
        fletching.connect(url, timeout_ms=2000, retries=0).table("docs")


def test_the_order_of_a_key_is_the_users(client, db):
    rows = pa.table({"a": [1, 2], "b": [10, 20], "x": [0.5, 1.5]})
    for store in (client, db):
        store.write("pairs", rows, key=["b", "a"])
        assert store.table("pairs").key == ["b", "a"]
        assert store.read("pairs", [(20, 2)]).to_arrow()["x"].to_pylist() == [1.5]
        store.write("pairs", rows, key=["b", "a"])


def test_dictionaries_go_over_the_wire(client):
    words = pd.Categorical(["x", "y", "x"])
    ids = pd.Categorical(["a", "b", "c"])
    client.write("words", pd.DataFrame({"id": ids, "w": words}), key="id")
    result = client.read("words", pd.Categorical(["c", "b"]))
    assert result.to_arrow()["w"].to_pylist() == ["x", "y"]
    assert client.delete("words", pd.Categorical(["c"])).row_count == 1
    assert client["words"].count == 2


def test_a_table_made_again_with_another_key_is_read(client, url):
    rows = pa.table({"a": [1], "b": [2], "x": [0.5]})
    client.write("t", rows, key=["a", "b"])
    assert client.read("t", [(1, 2)]).found_count == 1
    with fletching.connect(url) as other:
        other.drop("t")
        other.write("t", rows, key="a")
    assert client.read("t", [1], ["x"]).found_count == 1


def test_a_server_ends_in_time_beside_a_reader_that_stopped(serve, tmp_path):
    with serve(tmp_path) as http:
        address = f"{http.connection.host}:{http.connection.port}"
        client = fletching.connect(address)
        count = 300_000
        columns = {f"c{i}": np.zeros(count) for i in range(10)}
        client.write("long", pa.table({"id": np.arange(count), **columns}), key="id")
        rows = client.scan("long")
        assert rows.read_next_batch().num_rows > 0
    # `serve` has waited for the end; the rest of the rows is gone, and says so.
    with pytest.raises(fletching.FletchingError):
        rows.read_all()


DAEMONS = """
import fletching, sys, threading, time
db = fletching.connect(sys.argv[1])
keys = list(range(200_000))
def read():
    while True:
        db.read("n", keys)
for _ in range(4):
    threading.Thread(target=read, daemon=True).start()
time.sleep(0.7)
"""


def test_a_process_ends_beside_its_daemon_threads(client, url):
    client.write("n", pa.table({"id": np.arange(100_000), "x": np.zeros(100_000)}), key="id")
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", DAEMONS, url], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
