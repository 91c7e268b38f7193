"""A real fletchingd for each test that asks for one: free port, own folder, ended by its pid.

FLETCHINGD names the program; without it the one of build/dev is taken.
"""

import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pyarrow as pa
import pytest

ROOT = Path(__file__).parents[2]
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"


def daemon_path() -> Path:
    named = os.environ.get("FLETCHINGD")
    path = Path(named) if named else ROOT / "build/dev/bin/fletchingd"
    if not path.exists():
        pytest.fail(f"{path} is not built: run `make`, or name another by FLETCHINGD")
    return path


def to_ipc(table: pa.Table | pa.RecordBatch, columns: list[str] | None = None, **options) -> bytes:
    """An Arrow stream; with `columns` it is the body of a fetch."""
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    if columns is not None:
        table = table.replace_schema_metadata({"columns": json.dumps(columns)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


class Answer:
    def __init__(self, response: http.client.HTTPResponse):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self) -> str:
        assert self.headers["content-type"] == "application/json", self
        document = self.json
        assert list(document) == ["error"], document
        return document["error"]

    @property
    def table(self) -> pa.Table:
        assert self.headers["content-type"] == ARROW
        return pa.ipc.open_stream(self.body).read_all()

    def __repr__(self):
        return f"{self.status} {self.headers.get('content-type')} {self.body[:300]!r}"


class Server:
    """One running fletchingd; `bare`: with these flags and no others. cgroup: where it runs."""

    def __init__(
        self,
        folder: Path,
        *flags: str,
        env: dict[str, str] | None = None,
        bare: bool = False,
        cgroup: Path | None = None,
    ):
        self.folder = folder
        self.log_path = folder.parent / f"{folder.name}.log"
        base = {k: v for k, v in os.environ.items() if not k.startswith("FLETCHING")}
        own = {"--data-dir": folder, "--http": "127.0.0.1:0", "--flight": "127.0.0.1:0"}
        command = [daemon_path(), *flags]
        for flag, value in own.items():
            command += [] if bare or flag in flags else [flag, value]
        self.log = self.log_path.open("ab")

        def begin() -> None:
            # Tests may run below nohup, whose children ignore it.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            if cgroup is not None:
                (cgroup / "cgroup.procs").write_text(str(os.getpid()))

        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**base, **(env or {})},
            preexec_fn=begin,
        )
        line = self.process.stdout.readline()
        assert line, f"fletchingd ended: {self.log_path.read_text()}"
        ready = json.loads(line)
        assert ready["event"] == "ready"
        assert ready["pid"] == self.process.pid
        self.address = ready["http"]
        self.metrics_address = ready.get("metrics")
        self.flight_address = ready.get("flight")
        self.url = f"http://{self.address}"
        host, _, port = self.address.rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def socket(self, timeout: float = 60) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=timeout)

    def request(
        self, method: str, path: str, body=None, content_type: str | None = None, **headers: str
    ) -> Answer:
        """One request on a connection of its own. dicts go as JSON, tables as Arrow."""
        if isinstance(body, dict | list):
            body, content_type = json.dumps(body), content_type or "application/json"
        if isinstance(body, pa.Table | pa.RecordBatch):
            body, content_type = to_ipc(body), content_type or ARROW
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            sent["content-type"] = content_type
        connection = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=sent)
            return Answer(connection.getresponse())

    def get(self, path: str, **kwargs) -> Answer:
        return self.request("GET", path, **kwargs)

    def put(self, path: str, body=None, **kwargs) -> Answer:
        return self.request("PUT", path, body, **kwargs)

    def post(self, path: str, body=None, **kwargs) -> Answer:
        return self.request("POST", path, body, **kwargs)

    def create(self, name: str, schema: dict) -> None:
        answer = self.put(f"/api/v1/table/{name}", schema)
        assert answer.status == 201, answer

    def write(self, name: str, body, mode: str | None = None, **kwargs) -> Answer:
        answer = self.put(
            f"/api/v1/table/{name}/write" + (f"?mode={mode}" if mode else ""), body, **kwargs
        )
        assert answer.status == 200, answer
        return answer

    def fetch(self, name: str, keys, columns: list[str]):
        """The values of a fetch by JSON: {column: list}."""
        answer = self.post(f"/api/v1/table/{name}/fetch", {"keys": keys, "columns": columns})
        assert answer.status == 200, answer
        return answer.json["columns"]

    def alive(self) -> bool:
        return self.process.poll() is None and self.get("/health").body == b"OK"

    def rss_bytes(self, peak: bool = False, private: bool = False) -> int:
        """Pages of mapped files count too, unless `private`, and can be taken back at any time."""
        wanted = "RssAnon:" if private else "VmHWM:" if peak else "VmRSS:"
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(wanted):
                return int(line.split()[1]) * 1024
        raise AssertionError(wanted)

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ends it in order and answers its exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        try:
            return self.process.wait(timeout=30)
        finally:
            self.process.stdout.close()
            self.log.close()


@pytest.fixture
def make_server(tmp_path):
    """Starts servers; the same `folder` twice is a restart."""
    started: list[Server] = []

    def make(
        *flags: str, folder: str = "data", env: dict[str, str] | None = None, bare: bool = False
    ) -> Server:
        server = Server(tmp_path / folder, *flags, env=env, bare=bare)
        started.append(server)
        return server

    yield make
    for server in started:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for the tests of a file. It must be alive after the last of them."""
    running = Server(tmp_path_factory.mktemp("fletching") / "data", "--shutdown-notice", "0ms")
    yield running
    assert running.alive(), running.log_path.read_text()
    assert running.stop() == 0, running.log_path.read_text()


@pytest.fixture
def table(server, request):
    """A name for a table that no other test uses."""
    return "".join(c if c.isalnum() or c in "_.-" else "-" for c in request.node.name)[:128]


@pytest.fixture
def run_threads():
    """Runs functions at the same time and raises what any of them raised."""

    def run(*functions) -> None:
        errors: list[BaseException] = []

        def guarded(function):
            try:
                function()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    return run
