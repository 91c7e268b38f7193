"""TLS at both doors, beside libparquet in one process: it exports names of libcrypto, and the
system's libssl must not see them."""

import contextlib
import http.client
import io
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ARROW, PARQUET, Answer, daemon_path, to_ipc
from pyarrow import flight

SCHEMA = {
    "columns": {
        "id": {"dtype": "int64", "key": True, "nullable": False},
        "x": {"dtype": "float64"},
    }
}


def make_certificate(folder: Path, name: str = "cert") -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command = ["openssl", "req", "-x509", *curve, *names, "-days", "2"]
    command += ["-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.fixture
def files(tmp_path):
    return make_certificate(tmp_path)


@pytest.fixture
def secure(make_server, files):
    return make_server("--tls-cert", files[0], "--tls-key", files[1])


def connect(server, certificate, **limits) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=certificate)
    for name, value in limits.items():
        setattr(context, name, value)
    return http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30, context=context)


def ask(connection, method, path, body=None, content_type="application/json") -> Answer:
    headers = {"Content-Type": content_type, "Accept": content_type} if body else {}
    connection.request(method, path, body, headers)
    return Answer(connection.getresponse())


def test_rows_come_and_go_beside_libparquet(secure, files):
    rows = pa.table({"id": range(400_000), "x": np.random.default_rng(7).random(400_000)})
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd")
    connection = connect(secure, files[0])
    with contextlib.closing(connection):
        assert ask(connection, "PUT", "/api/v1/table/t", json.dumps(SCHEMA)).status == 201
        local = connection.sock.getsockname()
        written = ask(connection, "PUT", "/api/v1/table/t/write", sink.getvalue(), PARQUET)
        assert written.status == 200, written
        keys = to_ipc(pa.table({"id": rows["id"].slice(0, 100_000)}), columns=["x"])
        fetched = ask(connection, "POST", "/api/v1/table/t/fetch", keys, ARROW).table
        assert fetched["x"].combine_chunks() == rows["x"].slice(0, 100_000).combine_chunks()
        connection.request("GET", "/api/v1/table/t/rows", headers={"Accept": ARROW})
        scanned = Answer(connection.getresponse()).table
        assert scanned.sort_by("id").equals(rows.cast(scanned.schema))
        assert connection.sock.getsockname() == local, "one connection did it all"
    loaded = Path(f"/proc/{secure.process.pid}/maps").read_text()
    for library in ("libparquet", "libssl.so.3", "libcrypto.so.3"):
        assert library in loaded
    assert secure.stop() == 0


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_old_versions_and_plain_text_are_refused(secure, files):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        connection = connect(secure, files[0], minimum_version=version, maximum_version=version)
        assert ask(connection, "GET", "/health").body == b"OK"
        connection.close()
    old = ssl.create_default_context(cafile=files[0])
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with secure.socket() as raw, pytest.raises(ssl.SSLError, match=r"(?i)protocol|version|alert"):
        old.wrap_socket(raw, server_hostname="127.0.0.1")
    with secure.socket() as raw, contextlib.suppress(ConnectionResetError):
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not raw.recv(1000).startswith(b"HTTP")
    connection = connect(secure, files[0])
    assert ask(connection, "GET", "/health").body == b"OK"
    connection.close()


def test_whoever_says_nothing_is_hung_up_on(make_server, files):
    flags = ("--limits-header-time", "300ms", "--tls-cert", files[0], "--tls-key", files[1])
    server = make_server(*flags)
    with server.socket() as raw:
        assert raw.recv(10) == b""


def test_pieces_of_any_size_and_requests_ahead(secure, files):
    """Bytes of TLS arrive one by one; several requests arrive in one record."""
    context = ssl.create_default_context(cafile=files[0])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with secure.socket() as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def step(function):
            while True:
                with contextlib.suppress(ssl.SSLWantReadError):
                    result = function()
                    for byte in outgoing.read():
                        raw.sendall(bytes([byte]))
                    return result
                for byte in outgoing.read():
                    raw.sendall(bytes([byte]))
                incoming.write(raw.recv(65536))

        step(tls.do_handshake)
        step(lambda: tls.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 3))
        got = b""
        while got.count(b"OK\r\n") + got.count(b"\r\n\r\nOK") < 6:
            got += step(lambda: tls.read(65536))
    assert got.count(b"HTTP/1.1 200 OK") == 3


def test_flight_speaks_it_too(secure, files):
    roots = files[0].read_bytes()
    with flight.connect(f"grpc+tls://{secure.flight_address}", tls_root_certs=roots) as client:
        assert list(client.list_flights()) == []
    with (
        flight.connect(f"grpc://{secure.flight_address}") as client,
        pytest.raises((flight.FlightError, OSError)),
    ):
        list(client.list_flights())


def served(server, trusted) -> bytes:
    """The certificate that a new connection gets."""
    connection = connect(server, trusted)
    with contextlib.closing(connection):
        connection.connect()
        return connection.sock.getpeercert(binary_form=True)


def test_a_signal_renews_the_certificate(secure, files, tmp_path):
    def events() -> list[str]:
        return [json.loads(line)["event"] for line in secure.log_path.read_text().splitlines()]

    def hang_up(event: str) -> None:
        before = events().count(event)
        secure.signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while events().count(event) == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    kept = connect(secure, files[0])
    assert ask(kept, "GET", "/health").status == 200
    first = served(secure, files[0])
    for path, renewed in zip(files, make_certificate(tmp_path, "renewed"), strict=True):
        path.write_bytes(renewed.read_bytes())
    hang_up("certificate_loaded")
    second = served(secure, files[0])
    assert first != second
    files[1].write_text("nonsense")
    hang_up("certificate_kept")
    assert served(secure, files[0]) == second
    assert ask(kept, "GET", "/health").status == 200, "who was connected stays so"
    kept.close()


@pytest.mark.parametrize("which", ["no key", "no certificate", "another key", "no file"])
def test_files_that_do_not_fit_keep_it_from_starting(files, tmp_path, which):
    other = make_certificate(tmp_path, "other")[1]
    flags = {
        "no key": ["--tls-cert", files[0]],
        "no certificate": ["--tls-key", files[1]],
        "another key": ["--tls-cert", files[0], "--tls-key", other],
        "no file": ["--tls-cert", tmp_path / "absent.pem", "--tls-key", files[1]],
    }[which]
    env = {k: v for k, v in os.environ.items() if not k.startswith("FLETCHING")}
    command = [daemon_path(), "--data-dir", tmp_path / "data", "--http", "127.0.0.1:0", *flags]
    ended = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=env,
    )
    assert ended.returncode == 1
    assert "--tls-cert" in ended.stderr or str(tmp_path) in ended.stderr
