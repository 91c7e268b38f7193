"""What tests of the package share: a database in a fresh folder, a server over a folder."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
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

    IDLE_SECONDS = 20  # the server hangs up after 60, which slow tests of others may take

    def __init__(self, address):
        self.connection = HTTPConnection(address, timeout=60)
        self.used_at = time.monotonic()

    def __call__(self, verb, path, body=None, content_type=None, accept="*/*"):
        headers = {"Accept": accept}
        if isinstance(body, dict):
            body, content_type = json.dumps(body), content_type or "application/json"
        if content_type:
            headers["Content-Type"] = content_type
        if time.monotonic() - self.used_at > self.IDLE_SECONDS:
            self.connection.close()  # the request opens another
        self.connection.request(verb, path, body, headers)
        response = self.connection.getresponse()
        content = response.read()
        self.used_at = time.monotonic()
        return response.status, content


@contextmanager
def serving(folder):
    """Runs fletchingd over `folder`; yields Http."""
    command = [SERVER, "--data-dir", str(folder), "--http", "127.0.0.1:0"]
    command += ["--flight", "127.0.0.1:0"]
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


class RedisServer:
    """A real redis-server: free port, own folder, ended by its pid."""

    def __init__(self, folder, *options):
        program = shutil.which("redis-server")
        if program is None:
            pytest.fail("redis-server is not here: tools/setup.sh dev installs it")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1"]
        self._command += ["--dir", str(folder), "--save", "", *options]
        self.start()

    def start(self):
        redis = pytest.importorskip("redis")
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port, protocol=2)
        for _ in range(600):
            try:
                self.client.ping()
                return
            except redis.AuthenticationError:
                return
            except redis.ConnectionError:
                time.sleep(0.05)
        pytest.fail(f"redis-server does not answer on port {self.port}")

    def stop(self):
        self.client.close()
        self.process.terminate()
        self.process.wait(30)

    def put_users(self, count):
        """user:0, user:1, ...: a hash each."""
        with self.client.pipeline(transaction=False) as pipe:
            for at in range(count):
                pipe.hset(f"user:{at}", mapping={"age": at % 90, "score": at / 7, "name": f"n{at}"})
            pipe.execute()


@pytest.fixture
def start_redis(tmp_path):
    """A function that starts one, with options of redis-server."""
    started = []

    def start(*options):
        started.append(RedisServer(tmp_path, *options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def redis_server(start_redis):
    return start_redis()
