"""SIGTERM under load: readiness first, requests finish, nothing acknowledged is lost."""

import json
import signal
import socket
import subprocess
import threading
import time

import pytest

SCHEMA = {"key": "k", "columns": {"k": {"dtype": "utf8"}, "v": {"dtype": "int64"}}}


def fill(server, writer: int, acknowledged: set, failures: list) -> None:
    """Writes until the server is gone. A connection that ends between requests is no loss."""
    n = 0
    connection = server.connect()
    while True:
        key = f"{writer}-{n}"
        body = json.dumps({"columns": {"k": [key], "v": [n]}})
        try:
            connection.request("PUT", "/api/v1/table/t/write", body)
            response = connection.getresponse()
            response.read()
        except ConnectionRefusedError:
            return
        except OSError:
            connection.close()  # closed while idle: http.client connects anew
            if server.process.poll() is not None:
                return
            continue
        except Exception as error:  # an answer that was cut in the middle
            failures.append(repr(error))
            return
        if response.status == 200:
            acknowledged.add((key, n))
            n += 1
        elif response.status != 503:
            failures.append(f"{response.status}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_under_load_nothing_acknowledged_is_lost(make_server, number):
    server = make_server("--shutdown-notice", "100ms")
    server.create("t", SCHEMA)
    acknowledged, failures = set(), []
    writers = [
        threading.Thread(target=fill, args=(server, n, acknowledged, failures)) for n in range(8)
    ]
    for thread in writers:
        thread.start()
    while len(acknowledged) < 300:
        time.sleep(0.01)
    server.signal(number)
    started = time.monotonic()
    assert server.wait() == 0
    took = time.monotonic() - started
    for thread in writers:
        thread.join()
    assert not failures
    assert took < 5
    again = make_server()
    rows = dict(acknowledged)
    got = again.fetch("t", list(rows), ["v"])["v"]
    assert got == list(rows.values())


def test_readiness_fails_while_requests_are_still_served(make_server):
    server = make_server("--shutdown-notice", "2s")
    server.create("t", SCHEMA)
    assert server.get("/readyz").status == 200
    server.signal(signal.SIGTERM)
    deadline = time.monotonic() + 5
    while server.get("/readyz").status == 200:
        assert time.monotonic() < deadline
    answer = server.get("/readyz")
    assert answer.status == 503
    assert "shutting down" in answer.error
    assert answer.headers["connection"] == "close"
    assert server.get("/health").status == 200
    server.write("t", {"columns": {"k": ["late"], "v": [1]}})
    assert server.wait() == 0
    assert make_server().fetch("t", ["late"], ["v"]) == {"v": [1]}


def test_a_request_under_way_is_finished(make_server):
    server = make_server("--shutdown-notice", "0ms")
    server.create("t", SCHEMA)
    body = json.dumps({"columns": {"k": ["slow"], "v": [1]}}).encode()
    with server.socket() as sock:
        sock.sendall(
            "PUT /api/v1/table/t/write HTTP/1.1\r\nHost: h\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        sock.sendall(body[:5])
        time.sleep(0.2)  # so that the server has seen the head
        server.signal(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(ConnectionRefusedError):  # no new ones meanwhile
            socket.create_connection((server.host, server.port))
        sock.sendall(body[5:])
        answer = sock.recv(1000)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in answer
    assert server.wait() == 0
    assert make_server().fetch("t", ["slow"], ["v"]) == {"v": [1]}


def test_idle_and_stuck_connections_do_not_hold_it_up(make_server):
    server = make_server("--shutdown-notice", "0ms", "--shutdown-grace", "500ms")
    idle = [server.socket() for _ in range(20)]
    idle[0].sendall(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
    idle[1].sendall(b"PUT /api/v1/table/t/write HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{")
    idle[2].sendall(b"GET /hea")
    time.sleep(0.2)
    server.signal(signal.SIGTERM)
    started = time.monotonic()
    assert server.wait() == 0
    assert time.monotonic() - started < 5
    assert "connections_cut" in server.log_path.read_text()


def test_a_second_signal_ends_it_at_once(make_server):
    server = make_server("--shutdown-notice", "4s")
    server.signal(signal.SIGTERM)
    while server.get("/readyz").status == 200:
        pass
    server.signal(signal.SIGTERM)
    started = time.monotonic()
    assert server.wait() == 1
    assert time.monotonic() - started < 2


def test_killed_and_started_again_it_serves_what_it_acknowledged(make_server):
    server = make_server()
    server.create("t", SCHEMA)
    acknowledged, failures = set(), []
    threads = [
        threading.Thread(target=fill, args=(server, n, acknowledged, failures)) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 100:
        time.sleep(0.01)
    server.kill()
    for thread in threads:
        thread.join()
    rows = dict(acknowledged)
    assert make_server().fetch("t", list(rows), ["v"])["v"] == list(rows.values())


def test_the_folder_is_held_by_one(make_server, tmp_path):
    server = make_server()
    command = [server.process.args[0], "--data-dir", server.folder, "--http", "127.0.0.1:0"]
    command += ["--flight", "off"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert str(server.process.pid) in second.stderr
    assert second.stdout == ""
    server.kill()  # which leaves no lock behind
    assert make_server().alive()
