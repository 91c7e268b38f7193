"""Our own side: a table in a folder, read in this process and served by a fletchingd."""

import contextlib
import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fletching
import numpy as np
import pyarrow as pa
import pyarrow.flight

from rivals import flight, measure, servers, wire
from rivals.data import KeySets, Table
from rivals.measure import Checks, Participant
from rivals.rival import chunks

ARROW = "application/vnd.apache.arrow.stream"
TABLE = "bench"
WARM_KEYS = 20_000  # in one request
FETCH = f"/api/v1/table/{TABLE}/fetch"


class FletchingHost:
    """One table, loaded and open. Made by `host`.

    participants: "fletching" reads in this process, "fletching_http" over a connection; raw are
    bytes on a socket, and Flight by a client in C++, if it is built, to the last byte.
    """

    def __init__(self, table: Table, folder: Path, work: Path, daemon: Path) -> None:
        self.table, self.folder, self.work = table, folder, work
        self._daemon = daemon
        self._written: dict[Path, KeySets] = {}
        self.asked = work / f"asked-{folder.name}"  # requests, and the answers that are due
        self.asked.mkdir(exist_ok=True)
        self.columns = table.shape.read_names

    def load(self) -> None:
        start = time.monotonic()
        with fletching.open(self.folder, "w") as db:
            db.create_table(TABLE, self.table.schema, key="id")
            rows = pa.RecordBatchReader.from_batches(self.table.schema, self.table.batches())
            db.write(TABLE, rows)
            self.load_seconds = time.monotonic() - start
            db.compact(TABLE)
        self.disk_bytes = servers.folder_bytes(self.folder)

    @contextlib.contextmanager
    def serve(self) -> Iterator[None]:
        command = [str(self._daemon), "--data-dir", str(self.folder)]
        command += ["--http", "127.0.0.1:0", "--flight", "127.0.0.1:0"]
        starting = servers.process(command, cpus=measure.SERVER_CPUS, stdout=subprocess.PIPE)
        with starting as server, contextlib.ExitStack() as stack:
            ready = json.loads(server.stdout.readline())
            self.port = int(ready["http"].rpartition(":")[2])
            self.pid = server.pid
            self.db = stack.enter_context(fletching.open(self.folder, "r"))
            self.client = stack.enter_context(fletching.connect(f"http://127.0.0.1:{self.port}"))
            self.flight_port = int(ready["flight"].rpartition(":")[2])
            location = f"grpc://127.0.0.1:{self.flight_port}"
            self.flight = stack.enter_context(pyarrow.flight.connect(location))
            yield

    def warm(self) -> None:
        """Touches every row once, here and in the server, as the other benchmarks do."""
        empty = self._empty_server_bytes()
        for first, count in chunks(self.table.rows, WARM_KEYS):
            keys = self.table.key_array(np.arange(first, first + count, dtype=np.uint64))
            for store in (self.db, self.client):
                store.read(TABLE, keys, self.columns[:1])
        self.memory_bytes = max(0, servers.private_bytes(self.pid) - empty)

    def _empty_server_bytes(self) -> int:
        """Private memory of a server that has no table."""
        command = [str(self._daemon), "--data-dir", str(self.work / "empty")]
        command += ["--http", "127.0.0.1:0", "--flight", "off"]
        starting = servers.process(command, cpus=measure.SERVER_CPUS, stdout=subprocess.PIPE)
        with starting as server:
            server.stdout.readline()
            return servers.private_bytes(server.pid)

    # -- who takes turns ----------------------------------------------------------------------

    def participants(self, clock: str, sets: KeySets, flight_too: bool) -> list[Participant]:
        checks = Checks(sets)
        if clock == "raw":
            return self._raw(sets, flight_too)
        local, remote = self.db, self.client
        out = measure.CLIENT_CPUS
        if clock == "numpy":
            return [
                Participant("fletching", self._matrices(local, sets), checks.matrix),
                Participant(
                    "fletching_http", self._matrices(remote, sets), checks.matrix, cpus=out
                ),
            ]
        return [
            Participant("fletching", self._frames(local, sets), checks.frame),
            Participant("fletching_http", self._frames(remote, sets), checks.frame, cpus=out),
        ]

    def _matrices(self, store: Any, sets: KeySets) -> Any:
        return lambda index: store.read_matrix(TABLE, sets.keys[index], self.columns)

    def _frames(self, store: Any, sets: KeySets) -> Any:
        return lambda index: store.read(TABLE, sets.keys[index], self.columns).to_pandas()

    def _raw(self, sets: KeySets, flight_too: bool) -> list[Participant]:
        path = self.exchanges(sets)
        flags = [f"--port={self.port}", "--framing=http"]
        out = [Participant("fletching_http", slice=lambda s: wire.run(path, flags, s))]
        if flight_too and wire.program("flight_client").exists():
            out += [self._flight(call, sets) for call in ("get", "exchange")]
        return out

    def _flight(self, call: str, sets: KeySets) -> Participant:
        asked = self.asked / f"{call}-{sets.case.name.replace('/', ' ')}"
        if self._written.get(asked) is not sets:
            make = flight.gets if call == "get" else flight.asks
            wire.write_exchanges(asked, make(self.flight, self.table, sets))
            self._written[asked] = sets
        flags = [f"--port={self.flight_port}", f"--call={call}", f"--table={TABLE}"]
        return Participant(
            f"flight_{call}", slice=lambda s: wire.run(asked, flags, s, client="flight_client")
        )

    # -- HTTP, built beforehand -----------------------------------------------------------------

    def body(self, keys: list) -> bytes:
        """Text keys as a list, answered by a row each; integers by name, answered sparsely."""
        asked = keys if self.table.key_type == "utf8" else {"id": keys}
        return json.dumps({"keys": asked, "columns": self.columns}).encode()

    def exchanges(self, sets: KeySets) -> Path:
        """Asks every set once, compares it with the formula, and writes down what came: the
        answers that are due from now on."""
        path = self.asked / f"http-{sets.case.name.replace('/', ' ')}"
        if self._written.get(path) is sets:
            return path
        checks = Checks(sets)
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        pairs = []
        headers = {"Content-Type": "application/json", "Accept": ARROW}
        for index, keys in enumerate(sets.keys):
            body = self.body(keys)
            connection.request("POST", FETCH, body, headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200:
                raise RuntimeError(f"fetch: status {response.status}: {answer[:300]!r}")
            flight.check(pa.ipc.open_stream(answer).read_all(), checks, index)
            pairs.append((self._request("POST", FETCH, "application/json", body), answer))
        connection.close()
        self._written[path] = sets
        return wire.write_exchanges(path, pairs)

    def _request(self, method: str, path: str, content_type: str, body: bytes) -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: {ARROW}\r\n"
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def write_request(self, first: int, count: int) -> bytes:
        """A write of rows as they are already, so that every answer stays what it was."""
        body = flight.stream(self.table.batch(first, count))
        return self._request("PUT", f"/api/v1/table/{TABLE}/write", ARROW, body)
