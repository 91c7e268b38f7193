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

from rivals import measure, servers, wire
from rivals.data import KeySets, Table
from rivals.measure import Checks, Participant
from rivals.rival import chunks, scatter

ARROW = "application/vnd.apache.arrow.stream"
TABLE = "bench"
WARM_KEYS = 20_000  # in one request
FETCH = f"/api/v1/table/{TABLE}/fetch"


class FletchingHost:
    """One table, loaded and open. Made by `host`.

    participants: "fletching" reads in this process, "fletching_http" over a connection; raw are
    bytes on a socket, and Flight by the client that pyarrow has, to the last byte.
    """

    def __init__(self, table: Table, folder: Path, work: Path, daemon: Path) -> None:
        self.table, self.folder, self.work = table, folder, work
        self._daemon = daemon
        self._sets: KeySets | None = None
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
            location = f"grpc://{ready['flight']}"
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

    def participants(self, clock: str, sets: KeySets) -> list[Participant]:
        checks = Checks(sets)
        if clock == "raw":
            return self._raw(sets, checks)
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

    def _raw(self, sets: KeySets, checks: Checks) -> list[Participant]:
        path = self.exchanges(sets)
        flags = [f"--port={self.port}", "--framing=http"]
        get, exchange = self._flight_get(sets), _Exchange(self.flight, self.table, sets)

        def check(answer: pa.RecordBatch, index: int) -> None:
            checks.frame(answer.to_pandas(), index)

        return [
            Participant("fletching_http", slice=lambda s: wire.run(path, flags, s)),
            Participant("flight_get", get, check, cpus=measure.CLIENT_CPUS),
            Participant(
                "flight_exchange", exchange.ask, check, None, measure.CLIENT_CPUS, exchange.close
            ),
        ]

    # -- HTTP, built beforehand -----------------------------------------------------------------

    def body(self, keys: list) -> bytes:
        """Text keys as a list, answered by a row each; integers by name, answered sparsely."""
        asked = keys if self.table.key_type == "utf8" else {"id": keys}
        return json.dumps({"keys": asked, "columns": self.columns}).encode()

    def exchanges(self, sets: KeySets) -> Path:
        """Asks every set once, compares it with the formula, and writes down what came: the
        answers that are due from now on."""
        path = self.work / f"http-{self.table.shape.name}-{self.port}"
        if self._sets is sets:
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
            self._check_stream(answer, checks, index)
            pairs.append((self._request("POST", FETCH, "application/json", body), answer))
        connection.close()
        self._sets = sets
        return wire.write_exchanges(path, pairs)

    def _request(self, method: str, path: str, content_type: str, body: bytes) -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: {ARROW}\r\n"
        head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def write_request(self, first: int, count: int) -> bytes:
        """A write of rows as they are already, so that every answer stays what it was."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.table.schema) as writer:
            writer.write_batch(self.table.batch(first, count))
        body = sink.getvalue().to_pybytes()
        return self._request("PUT", f"/api/v1/table/{TABLE}/write", ARROW, body)

    def _check_stream(self, answer: bytes, checks: Checks, index: int) -> None:
        table = pa.ipc.open_stream(answer).read_all()
        if "_idx" not in table.schema.names:
            checks.frame(table.to_pandas(), index)
            return
        places = table["_idx"].to_numpy()
        frame = table.drop_columns(["_idx"]).to_pandas()
        frame.index = places
        checks.frame(frame.reindex(range(len(checks.expected(index)))), index)

    # -- Flight ---------------------------------------------------------------------------------

    def _flight_get(self, sets: KeySets) -> Any:
        key = None if self.table.key_type == "utf8" else "id"
        tickets = []
        for keys in sets.keys:
            asked = keys if key is None else {key: keys}
            ticket = {"table": TABLE, "keys": asked, "columns": self.columns}
            tickets.append(pyarrow.flight.Ticket(json.dumps(ticket).encode()))

        def get(index: int) -> pa.Table:
            table = self.flight.do_get(tickets[index]).read_all()
            return table if "_idx" not in table.schema.names else self._dense(table, sets, index)

        return get

    def _dense(self, table: pa.Table, sets: KeySets, index: int) -> pa.Table:
        columns = [table[name].to_numpy() for name in self.columns]
        values = np.stack(columns, axis=1)
        rows = np.full(len(sets.keys[index]), -1)
        rows[table["_idx"].to_numpy()] = np.arange(table.num_rows)
        dense = scatter(values, rows, rows >= 0)
        return pa.table(dict(zip(self.columns, dense.T, strict=True)))


class _Exchange:
    """Look-ups on one open DoExchange, which begins with the first of them."""

    def __init__(self, client: Any, table: Table, sets: KeySets) -> None:
        columns = json.dumps(table.shape.read_names)
        id_type = table.schema.field("id").type
        self._schema = pa.schema([("id", id_type)], metadata={"columns": columns})
        self._batches = [
            pa.record_batch([table.key_array(numbers)], schema=self._schema)
            for numbers in sets.numbers
        ]
        self._client, self._writer, self._reader = client, None, None

    def ask(self, index: int) -> pa.RecordBatch:
        if self._writer is None:
            descriptor = pyarrow.flight.FlightDescriptor.for_path(TABLE)
            self._writer, self._reader = self._client.do_exchange(descriptor)
            self._writer.begin(self._schema)
        self._writer.write_batch(self._batches[index])
        return self._reader.read_chunk().data

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
