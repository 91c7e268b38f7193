"""A running fletchingd, and two ways to talk to it: Python's own http.client, and curl."""

import io
import json
import os
import shutil
import signal
import subprocess
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path

import fletching
import pyarrow as pa

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
ROOT = Path(__file__).parent.parent


class Server:
    """fletchingd over a folder, on a port that the system picks."""

    def __init__(
        self, folder: Path, *flags: str, flight: str = "off", env: dict[str, str] | None = None
    ) -> None:
        program = os.environ.get("FLETCHINGD", str(ROOT / "build/release/bin/fletchingd"))
        if not Path(program).exists():
            raise SystemExit(f"{program} is not there; run `make demo`, which builds it")
        command = [program, "--data-dir", str(folder), "--http", "127.0.0.1:0"]
        command += ["--flight", flight, *flags]
        self.log = folder.with_suffix(".log").open("w+")
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, **(env or {})},
        )
        ready = self.process.stdout.readline()  # one line, for programs: where it listens
        if not ready:
            raise SystemExit(f"fletchingd did not start:\n{self.log_text()}")
        self.address = json.loads(ready)["http"]
        self.flight_address = json.loads(ready).get("flight", "")

    def log_text(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def stop(self) -> int:
        """SIGTERM: it finishes what it has begun. The exit status, 0 if all went well."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


class Client:
    """One connection that stays open."""

    def __init__(self, address: str) -> None:
        self.http = HTTPConnection(address, timeout=120)

    def request(self, verb: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        self.http.request(verb, path, body, headers)
        response = self.http.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{verb} {path}: {response.status} {answer.decode()}")
        return answer

    def create(self, table: str, schema: pa.Schema, key: list[str]) -> None:
        body = json.dumps(schema_json(schema, key)).encode()
        self.request("PUT", f"/api/v1/table/{table}", body, {"Content-Type": "application/json"})

    def write_parquet(self, table: str, path: Path) -> None:
        body = path.read_bytes()
        self.request("PUT", f"/api/v1/table/{table}/write", body, {"Content-Type": PARQUET})

    def fetch(self, table: str, body: bytes) -> bytes:
        headers = {"Content-Type": ARROW, "Accept": ARROW}
        return self.request("POST", f"/api/v1/table/{table}/fetch", body, headers)


def schema_json(schema: pa.Schema, key: list[str]) -> dict:
    return {
        "columns": {
            field.name: {
                "dtype": fletching.Column(field.name, field.type).dtype,
                "key": field.name in key,
                "nullable": field.nullable,
            }
            for field in schema
        }
    }


def fetch_body(keys: pa.Table, columns: list[str]) -> bytes:
    """Keys as an Arrow stream; the wanted columns stand in the schema's metadata."""
    schema = keys.schema.with_metadata({"columns": json.dumps(columns)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(keys.replace_schema_metadata(schema.metadata))
    return sink.getvalue()


def parse_rows(answer: bytes) -> pa.Table:
    """An Arrow answer without its first column, _idx, which says whose row it is: only keys that
    were found have one."""
    table = pa.ipc.open_stream(answer).read_all()
    return table.sort_by("_idx").drop(["_idx"])


def curl(*arguments: str) -> str:
    if shutil.which("curl") is None:
        raise SystemExit("curl is not installed; `make setup` installs it")
    command = ["curl", "--silent", "--show-error", "--fail-with-body", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def curl_rows(
    address: str, table: str, keys: pa.Table, columns: list[str], folder: Path
) -> dict[str, list]:
    """A fetch as JSON. The body goes through a file: keys may be longer than a command line."""
    texts = {
        name: [_json_value(key) for key in column] for name, column in keys.to_pydict().items()
    }
    body = folder / "fetch.json"
    body.write_text(json.dumps({"keys": texts, "columns": columns}))
    url = f"http://{address}/api/v1/table/{table}/fetch"
    answer = curl(url, "-H", "Content-Type: application/json", "--data-binary", f"@{body}")
    rows = json.loads(answer)["columns"]
    if "scheduled" in rows:  # the one column whose values JSON has no word for
        rows["scheduled"] = [datetime.fromisoformat(text) for text in rows["scheduled"]]
    return rows


def _json_value(key: object) -> object:
    return key.isoformat() if isinstance(key, datetime) else key
