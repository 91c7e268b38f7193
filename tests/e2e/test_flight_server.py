"""The Flight door as part of the server: its limits, its port, and how it ends."""

import json
import os
import signal
import subprocess
import time

import pyarrow as pa
import pytest
from pyarrow import flight
from test_flight import ROWS, SCHEMA, UNAVAILABLE, ask, exchange, get, path, put


def test_calls_beyond_the_limit_are_told_to_come_again(make_server):
    server = make_server("--limits-requests", "2")
    server.create("t", SCHEMA)
    with flight.connect(f"grpc://{server.flight_address}") as client:
        streams = [exchange(client, "t"), exchange(client, "t")]
        for stream in streams:
            ask(stream, ["a"])
        with pytest.raises(UNAVAILABLE, match="too many calls"):
            client.get_schema(path("t"))
        streams[0][0].close()
        deadline = time.monotonic() + 30
        while True:
            try:
                client.get_schema(path("t"))
                break
            except UNAVAILABLE:
                assert time.monotonic() < deadline
        streams[1][0].close()


def test_a_ticket_may_be_so_long(make_server):
    server = make_server("--limits-keys-body", "1KiB")
    server.create("t", SCHEMA)
    with flight.connect(f"grpc://{server.flight_address}") as client:
        with pytest.raises(pa.ArrowInvalid, match="a ticket may have 1 KiB"):
            get(client, {"table": "t", "keys": ["k" * 2000], "columns": []})
        stream = exchange(client, "t")
        with pytest.raises(pa.ArrowInvalid, match="may have 1 KiB"):
            ask(stream, ["k" * 2000])


def test_idle_exchanges_do_not_hold_up_the_end(make_server):
    server = make_server("--shutdown-notice", "0ms")
    server.create("t", SCHEMA)
    with flight.connect(f"grpc://{server.flight_address}") as client:
        stream = exchange(client, "t")
        ask(stream, ["a"])
        server.signal(signal.SIGTERM)
        started = time.monotonic()
        assert server.wait() == 0
        assert time.monotonic() - started < 5
        with pytest.raises(flight.FlightUnavailableError):
            ask(stream, ["a"])


def test_a_put_under_way_is_finished_or_stores_nothing(make_server):
    server = make_server("--shutdown-notice", "0ms", "--shutdown-grace", "300ms")
    server.create("t", SCHEMA)
    with flight.connect(f"grpc://{server.flight_address}") as client:
        writer, _ = client.do_put(path("t"), ROWS.schema)
        writer.write_table(ROWS)  # and never ends
        time.sleep(0.2)  # so that the server has seen it
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        with pytest.raises(flight.FlightError):
            writer.close()
    again = make_server()
    assert again.fetch("t", {"id": ["a"]}, [])["_idx"] == []


def test_a_put_that_ends_during_the_grace_is_kept(make_server):
    server = make_server("--shutdown-notice", "0ms", "--shutdown-grace", "4s")
    server.create("t", SCHEMA)
    with flight.connect(f"grpc://{server.flight_address}") as client:
        writer, answers = client.do_put(path("t"), ROWS.schema)
        writer.write_table(ROWS)
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        time.sleep(0.2)
        with (
            flight.connect(f"grpc://{server.flight_address}") as late,
            pytest.raises(UNAVAILABLE, match="shutting down"),
        ):
            late.get_schema(path("t"))
        writer.done_writing()
        assert json.loads(answers.read().to_pybytes())["rows"] == 3
        writer.close()
    assert server.wait() == 0
    assert make_server().fetch("t", {"id": ["a"]}, [])["_idx"] == [0]


def test_without_the_door(make_server, tmp_path):
    server = make_server("--flight", "off")
    assert server.flight_address is None
    assert server.alive()


def test_ipv6(make_server):
    server = make_server("--flight", "[::1]:0")
    assert server.flight_address.startswith("[::1]:")
    server.create("t", SCHEMA)
    with flight.connect(f"grpc://{server.flight_address}") as client:
        assert put(client, "t", ROWS)["rows"] == 3


def test_a_port_in_use_is_named(make_server, tmp_path):
    server = make_server()
    command = [server.process.args[0], "--data-dir", str(tmp_path / "other")]
    command += ["--http", "127.0.0.1:0", "--flight", server.flight_address]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FLETCHING")}
    second = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=False, env=environment
    )
    assert second.returncode == 1
    assert f"cannot listen on {server.flight_address}" in second.stderr
    assert "--flight off" in second.stderr
