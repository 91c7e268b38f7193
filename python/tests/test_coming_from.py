"""The code of docs/coming-from-redis-and-feast.md runs, in order, as it stands."""

import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from-redis-and-feast.md").read_text()


def blocks():
    """[(whether it talks to Redis, code)]"""
    found = re.findall(r"^```python( redis)?\n(.*?)^```", PAGE, re.M | re.S)
    assert PAGE.count("```python") == len(found)
    return [(bool(kind), code) for kind, code in found]


def run(code, names):
    exec(compile(code, "coming-from-redis-and-feast.md", "exec"), names)


def test_our_side_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for is_redis, code in blocks():
        if not is_redis:
            run(code, names)
    names["db"].close()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def redis_port(tmp_path):
    """A Redis of its own, empty and in memory alone."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen([*command, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not listens(port):
            assert server.poll() is None, "redis-server ended"
            assert time.monotonic() < deadline, "redis-server does not listen"
            time.sleep(0.01)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=60)


def test_the_redis_side_runs(tmp_path, monkeypatch, redis_port):
    pytest.importorskip("redis")
    monkeypatch.chdir(tmp_path)
    setup, *others = blocks()
    names = {}
    run(setup[1], names)
    for is_redis, code in others:
        if is_redis:
            run(code.replace("redis.Redis()", f"redis.Redis(port={redis_port})"), names)
    names["db"].close()
