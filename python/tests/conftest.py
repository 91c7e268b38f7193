"""What tests of the package share: a database in a fresh folder, a server over a folder."""

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from http.client import HTTPConnection

import fletching
import pytest

SERVER = os.environ.get("FLETCHINGD", "")


@pytest.fixture
def db(tmp_path):
    with fletching.open(tmp_path / "features") as database:
        yield database


class Http:
    """One connection to a server: `status, body = http("GET", "/health")`."""

    def __init__(self, address):
        self.connection = HTTPConnection(address, timeout=60)

    def __call__(self, verb, path, body=None, content_type=None, accept="*/*"):
        headers = {"Accept": accept}
        if isinstance(body, dict):
            body, content_type = json.dumps(body), content_type or "application/json"
        if content_type:
            headers["Content-Type"] = content_type
        self.connection.request(verb, path, body, headers)
        response = self.connection.getresponse()
        return response.status, response.read()


@contextmanager
def serving(folder):
    """Runs fletchingd over `folder`; yields Http."""
    command = [SERVER, "--data-dir", str(folder), "--http", "127.0.0.1:0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        assert line, server.stderr.read()
        yield Http(json.loads(line)["http"])
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)


@pytest.fixture
def serve():
    """`with serve(folder) as http`: a server of the test's own."""
    return serving


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    if not SERVER:
        pytest.skip("FLETCHINGD does not name the server; `make test-python` sets it")
    with serving(tmp_path_factory.mktemp("served")) as connection:
        yield connection


@pytest.fixture
def http(server):
    """A server without tables."""
    for name in json.loads(server("GET", "/api/v1/table")[1]):
        server("DELETE", f"/api/v1/table/{name}")
    return server
