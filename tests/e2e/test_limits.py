"""Limits on size, time, connections and requests in flight."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

ARROW = "application/vnd.apache.arrow.stream"
SCHEMA = {"key": "k", "columns": {"k": {"dtype": "utf8"}, "v": {"dtype": "int32"}}}


def receive(sock: socket.socket) -> bytes:
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def eventually(check, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_bodies_beyond_their_limit_are_413(make_server):
    server = make_server(
        *("--limits-body", "1MiB", "--limits-keys-body", "64KiB", "--limits-json-body", "128KiB")
    )
    server.create("t", SCHEMA)
    write, fetch = "/api/v1/table/t/write", "/api/v1/table/t/fetch"
    big = b"x" * ((1 << 20) + 1)
    answer = server.put(write, big, content_type=ARROW)
    assert answer.status == 413
    assert "1048577 bytes; 1048576" in answer.error
    chunks = iter([big[:600_000]] * 2)
    connection = server.connect()
    connection.request(
        "PUT", write, body=chunks, headers={"content-type": ARROW}, encode_chunked=True
    )
    assert connection.getresponse().status == 413
    keys = {"keys": ["k" * 1000] * 100, "columns": []}
    assert server.post(fetch, keys).status == 413
    rows = {"columns": {"k": ["k" * 1000] * 200, "v": [1] * 200}}
    answer = server.put(write, rows)
    assert answer.status == 413
    assert "send Arrow or Parquet" in answer.error
    assert (
        server.put("/api/v1/table/u", b" " * (5 << 20), content_type="application/json").status
        == 413
    )
    assert server.alive()


def test_a_refused_body_is_not_read_to_its_end(make_server):
    server = make_server("--limits-body", "1MiB")
    with server.socket() as sock:
        head = (
            "PUT /api/v1/table/t/write HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999\r\n\r\n"
        )
        sock.sendall(head.encode())
        sock.sendall(b"x" * 100_000)  # more than nothing is on its way when the answer comes
        assert receive(sock).startswith(b"HTTP/1.1 413 ")


def test_more_requests_than_allowed_are_503(make_server):
    server = make_server("--limits-requests", "2")
    server.create("t", SCHEMA)
    held = []
    for _ in range(2):  # their bodies are still awaited
        sock = server.socket()
        sock.sendall(
            b"PUT /api/v1/table/t/write HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{"
        )
        held.append(sock)
    eventually(lambda: server.get("/api/v1/table").status == 503)
    answer = server.get("/api/v1/table")
    assert answer.headers["retry-after"] == "1"
    assert "in flight" in answer.error
    body = json.dumps({"keys": ["a"], "columns": []})
    connection = server.connect()
    for _ in range(3):  # a refusal leaves the connection usable
        connection.request("POST", "/api/v1/table/t/fetch", body)
        response = connection.getresponse()
        response.read()
        assert response.status == 503
    assert server.get("/health").status == 200
    assert server.get("/readyz").status == 200
    for sock in held:
        sock.close()
    eventually(lambda: server.get("/api/v1/table").status == 200)


def test_more_connections_than_allowed_are_503(make_server):
    server = make_server("--limits-connections", "5")
    held = [server.socket() for _ in range(5)]
    for sock in held:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    with server.socket() as extra:
        data = receive(extra)
        assert data.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in data
    for sock in held:
        sock.close()

    def served():
        with server.socket() as sock:
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            return receive(sock).startswith(b"HTTP/1.1 200")

    eventually(served)


def test_slow_headers_and_bodies_are_408_and_idle_connections_end(make_server):
    server = make_server(
        *("--limits-header-time", "300ms", "--limits-stall-time", "300ms"),
        *("--limits-idle-time", "300ms"),
    )
    parts = {
        b"GET /hea": b"HTTP/1.1 408 ",
        b"PUT /api/v1/table/t HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{": b"HTTP/1.1 408 ",
        b"": b"",
        b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n": b"HTTP/1.1 200 ",
    }
    for part, wanted in parts.items():
        with server.socket(10) as sock:
            sock.sendall(part)
            assert receive(sock).startswith(wanted)  # and it closed the connection


def test_a_dribbled_header_does_not_extend_its_time(make_server):
    server = make_server("--limits-header-time", "500ms")
    with server.socket(10) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: h\r\n")
        started = time.monotonic()
        with pytest.raises((ConnectionError, StopIteration)):
            while time.monotonic() - started < 8:
                sock.sendall(b"A: b\r\n")
                time.sleep(0.05)
            raise AssertionError("still reading")


def test_a_client_that_never_reads_is_cut(make_server):
    server = make_server("--limits-stall-time", "300ms")
    server.create("t", SCHEMA)
    body = json.dumps({"keys": ["a"] * 1_000_000, "columns": ["v"]}).encode()
    before = server.open_files()
    with server.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(
            "POST /api/v1/table/t/fetch HTTP/1.1\r\nHost: h\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        eventually(lambda: server.open_files() <= before)


def test_many_slow_clients_leave_the_others_alone(make_server):
    server = make_server("--limits-header-time", "3s")
    server.create("t", SCHEMA)
    before = server.open_files()
    slow = []
    for n in range(1500):
        sock = server.socket()
        if n % 3 == 0:
            sock.sendall(b"GET /hea")
        elif n % 3 == 1:
            sock.sendall(
                b"PUT /api/v1/table/t/write HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\n{"
            )
        slow.append(sock)
    connection = server.connect()
    body = json.dumps({"keys": ["a"], "columns": ["v"]})
    for _ in range(300):
        connection.request("POST", "/api/v1/table/t/fetch", body)
        assert json.loads(connection.getresponse().read()) == {"columns": {"v": [None]}}
    connection.close()
    for sock in slow:
        sock.close()
    eventually(lambda: server.open_files() <= before + 2)


def test_bodies_of_any_size_come_through_a_file(make_server):
    """Above 8 MiB a body is spooled; half of it in Arrow, half in chunks of unknown length."""
    server = make_server()
    server.create("t", {"key": "k", "columns": {"k": {"dtype": "utf8"}, "v": {"dtype": "binary"}}})
    rows = pa.table(
        {"k": [f"k{n}" for n in range(300)], "v": [bytes([n % 256]) * 100_000 for n in range(300)]}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=10)
    body = sink.getvalue().to_pybytes()
    server.write("t", body, content_type=ARROW)
    assert server.get("/api/v1/table/t").json["row_count"] == 300
    connection = server.connect()
    pieces = (body[n : n + 1_000_003] for n in range(0, len(body), 1_000_003))
    connection.request(
        *("PUT", "/api/v1/table/t/write", pieces, {"content-type": ARROW}), encode_chunked=True
    )
    assert connection.getresponse().status == 200
    answer = server.post(
        "/api/v1/table/t/fetch", {"keys": ["k299", "k0"], "columns": ["v"]}, accept=ARROW
    )
    assert answer.table.column("v").to_pylist() == [bytes([43]) * 100_000, bytes([0]) * 100_000]
    names = [path.name for path in server.folder.iterdir()]
    assert not [name for name in names if "body" in name], names


def test_one_row_writes_at_once(make_server):
    server = make_server()
    server.create("t", SCHEMA)

    def write(n):
        server.write("t", {"columns": {"k": [f"k{n}"], "v": [n]}})

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(write, range(300)))
    got = server.fetch("t", [f"k{n}" for n in range(300)], ["v"])
    assert got == {"v": list(range(300))}
