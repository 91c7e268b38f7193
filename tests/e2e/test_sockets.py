"""HTTP/1.1 by hand: pipelining, chunks, half-closed and slow connections, smuggling."""

import json
import socket

import pytest

SCHEMA = {"key": "k", "columns": {"k": {"dtype": "utf8"}, "v": {"dtype": "int32"}}}


def receive(sock: socket.socket) -> bytes:
    """Everything until the server closes."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def exchange(server, data: bytes, half_close: bool = True) -> bytes:
    with server.socket(20) as sock:
        sock.sendall(data)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        return receive(sock)


def statuses(data: bytes) -> list[int]:
    """Of answers in a row, by their lengths."""
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        found.append(int(lines[0].split()[1]))
        length = 0
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        data = rest[length:]
    return found


def test_requests_sent_ahead_are_answered_in_order(server, table):
    server.create(table, SCHEMA)
    requests = b""
    for n in range(200):
        body = json.dumps({"columns": {"k": [f"k{n}"], "v": [n]}}).encode()
        requests += (
            f"PUT /api/v1/table/{table}/write HTTP/1.1\r\nHost: h\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        requests += b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n"
        requests += b"GET /none HTTP/1.1\r\nHost: h\r\n\r\n"
    assert statuses(exchange(server, requests)) == [200, 200, 404] * 200
    assert server.fetch(table, ["k0", "k199"], ["v"]) == {"v": [0, 199]}


def test_a_thousand_quick_requests_in_one_piece(server):
    one = b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"
    assert statuses(exchange(server, one * 1000)) == [200] * 1000


def test_a_half_closed_connection_still_gets_its_answer(server):
    data = exchange(server, b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
    assert data.endswith(b"\r\n\r\nOK")


@pytest.mark.parametrize(
    "part",
    [
        b"G",
        b"GET /health HTTP/1.1\r\nHo",
        b"PUT /api/v1/table/x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{",
    ],
)
def test_half_a_request_is_400(server, part):
    data = exchange(server, part)
    assert statuses(data) == [400]
    assert b"in the middle of a request" in data


def test_bytes_may_come_one_by_one(server, table):
    server.create(table, SCHEMA)
    body = b'{"keys": ["a"], "columns": ["v"]}'
    request = (
        f"POST /api/v1/table/{table}/fetch HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    with server.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n in range(len(request)):
            sock.sendall(request[n : n + 1])
        assert receive(sock).endswith(b'{"columns":{"v":[null]}}')


def test_chunks_and_trailers(server, table):
    server.create(table, SCHEMA)
    body = json.dumps({"columns": {"k": ["a"], "v": [7]}}).encode()
    chunks = b"".join(b"%x;x=y\r\n%b\r\n" % (1, body[n : n + 1]) for n in range(len(body)))
    head = (
        f"PUT /api/v1/table/{table}/write HTTP/1.1\r\nHost: h\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    next_one = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n"
    data = exchange(server, head + chunks + b"0\r\nTrailer: x\r\n\r\n" + next_one)
    assert statuses(data) == [200, 200]
    assert server.fetch(table, ["a"], ["v"]) == {"v": [7]}


def test_continue_is_said_before_a_body_is_awaited(server, table):
    head = (
        f"PUT /api/v1/table/{table} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
        "Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n"
    )
    body = json.dumps(SCHEMA).encode()
    with server.socket() as sock:
        sock.sendall(head.format(len(body)).encode())
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert statuses(receive(sock)) == [201]
    # Nothing is asked for where the answer is known already.
    with server.socket() as sock:
        sock.sendall(head.format(10**12).encode())
        assert statuses(receive(sock)) == [413]


def test_head_has_no_body(server):
    data = exchange(
        server, b"HEAD /health HTTP/1.1\r\nHost: h\r\n\r\nGET /livez HTTP/1.1\r\nHost: h\r\n\r\n"
    )
    assert b"Content-Length: 2\r\n\r\nHTTP/1.1 200 OK" in data
    assert data.endswith(b'{"status":"ok"}')


def test_http_1_0_and_absolute_targets(server):
    data = exchange(server, b"GET /health HTTP/1.0\r\n\r\n", half_close=False)
    assert b"Connection: close" in data
    assert data.endswith(b"OK")
    data = exchange(server, b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
    assert data.count(b"Connection: keep-alive") == 2
    data = exchange(server, b"GET http://any.host:1/health?x=1 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert data.endswith(b"OK")


START = b"POST /api/v1/table/x/fetch HTTP/1.1\r\nHost: h\r\n"
SMUGGLED = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        START + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        START + b"Content-Length: 0\r\nContent-Length: 33\r\n\r\n",
        START + b"Content-Length: 0, 33\r\n\r\n",
        START + b"Content-Length: +0\r\n\r\n",
        START + b"Content-Length: 0x0\r\n\r\n",
        START + b"Content-Length: -1\r\n\r\n",
        START + b"Content-Length : 0\r\n\r\n",
        START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        START + b"Transfer-Encoding: chunked\r\n\r\n \r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n: no name\r\n\r\n",
        b"GET / HTTP/3.0\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1x\r\nHost: h\r\n\r\n",
        b"GET / \r\n\r\n",
        b"GET /\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40,
        b"\x00" * 100,
        b"GET " + b"/" * 30_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * 100_000 + b"\r\n",
    ],
)
def test_no_second_answer_hides_in_a_bad_request(server, data):
    try:
        answers = statuses(exchange(server, data + SMUGGLED))
    except ConnectionError:  # we may still have been sending when it hung up
        answers = [400]
    assert len(answers) == 1
    assert answers[0] in (400, 431, 501, 505)


def test_a_long_header_is_431(server):
    data = exchange(server, b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 20_000 + b"\r\n\r\n")
    assert statuses(data) == [431]


def test_connections_may_end_abruptly(server, table):
    server.create(table, SCHEMA)
    reset = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # linger on, zero seconds: RST
    for cut in range(0, 120, 3):
        body = json.dumps({"columns": {"k": ["a"], "v": [cut]}}).encode()
        request = (
            f"PUT /api/v1/table/{table}/write HTTP/1.1\r\nHost: h\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        with server.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            sock.sendall(request[:cut])
    assert server.alive()


def test_a_client_that_does_not_read_holds_up_nobody(server, table):
    server.create(table, SCHEMA)
    body = json.dumps({"keys": ["a"] * 200_000, "columns": ["v"]}).encode()
    with server.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(
            f"POST /api/v1/table/{table}/fetch HTTP/1.1\r\nHost: h\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        for _ in range(50):
            assert server.get("/health").status == 200
