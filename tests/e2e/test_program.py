"""fletchingd as a program: help, configuration, errors at the start, logs."""

import json
import signal
import socket
import subprocess

import pytest


def run(server_or_path, *flags, env=None):
    return subprocess.run(
        [str(server_or_path), *map(str, flags)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=env,
    )


@pytest.fixture
def program(make_server):
    server = make_server()
    server.stop()
    return server.process.args[0]


def test_help_and_version(program):
    result = run(program, "--help")
    assert result.returncode == 0
    assert "--data-dir" in result.stdout
    assert "FLETCHING_CONFIG" in result.stdout
    assert all(len(line) <= 100 for line in result.stdout.splitlines())
    assert run(program, "--version").stdout.startswith("fletchingd 0.")


def test_unknown_flags_end_it_with_a_suggestion(program):
    result = run(program, "--data-dri", "x")
    assert result.returncode == 2
    assert "did you mean '--data-dir'?" in result.stderr
    assert result.stdout == ""


def test_a_port_in_use_is_named(program, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run(program, "--http", address, "--data-dir", tmp_path / "other")
    assert result.returncode == 1
    assert f"cannot listen on {address}" in result.stderr
    assert "Another program has this port" in result.stderr


def test_a_folder_that_cannot_be_made_is_named(program, tmp_path):
    (tmp_path / "file").write_text("x")
    result = run(
        program,
        "--http",
        "127.0.0.1:0",
        "--flight",
        "off",
        "--data-dir",
        tmp_path / "file" / "data",
    )
    assert result.returncode == 1
    assert str(tmp_path / "file") in result.stderr


def test_a_file_an_environment_and_flags_together(make_server, tmp_path):
    config = tmp_path / "fletching.yaml"
    config.write_text("limits:\n  body: 1MiB\n  keys_body: 1KiB\nlog:\n  requests: true\n")
    server = make_server(
        *("--config", str(config), "--limits-keys-body", "2KiB"),
        env={"FLETCHING_LIMITS_BODY": "4KiB", "FLETCHING_NONSENSE": "1"},
    )
    server.create("t", {"key": "k", "columns": {"k": {"dtype": "utf8"}}})
    arrow = "application/vnd.apache.arrow.stream"
    assert (
        "4096 are allowed"
        in server.put("/api/v1/table/t/write", b"x" * 5000, content_type=arrow).error
    )
    assert "2048 are allowed" in server.post("/api/v1/table/t/fetch", b"x" * 5000).error
    server.stop()
    lines = [json.loads(line) for line in server.log_path.read_text().splitlines()]
    assert any("FLETCHING_NONSENSE" in line.get("text", "") for line in lines)
    created = next(line for line in lines if line.get("operation") == "create_table")
    assert created["status"] == 201
    assert created["level"] == "info"
    assert {"time", "micros", "request_bytes", "response_bytes"} <= set(created)


def test_logs_hold_no_keys_and_no_values(make_server):
    server = make_server("--log-level", "debug", "--log-requests", "true")
    server.create("t", {"key": "k", "columns": {"k": {"dtype": "utf8"}, "v": {"dtype": "utf8"}}})
    server.write("t", {"columns": {"k": ["secret-key"], "v": ["secret-value"]}})
    server.fetch("t", ["secret-key"], ["v"])
    server.post("/api/v1/table/t/fetch", {"keys": {"secret": ["secret-key"]}, "columns": []})
    server.stop()
    assert "secret" not in server.log_path.read_text()


def test_ipv6_and_a_port_of_ones_own(make_server, tmp_path):
    server = make_server("--http", "[::1]:0", folder="six")
    assert server.address.startswith("[::1]:")
    server.signal(signal.SIGINT)
    assert server.wait() == 0
