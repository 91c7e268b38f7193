"""PostgreSQL 15: `WHERE key = ANY($1)`, prepared, all columns binary, over a Unix socket."""

import contextlib
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rivals import measure, pg_wire, resp, servers, wire
from rivals.data import KeySets, Shape, Table, float_values, key_bytes, text_bytes
from rivals.measure import Checks, Slice
from rivals.rival import Rival, Session, Setting, can_import, chunks, rows_of, scatter

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
INDEX_COLUMNS_MAX = 31  # of an index, beside its key
USER = "postgres"
START_SECONDS_MAX = 30
CONFIG = {
    "fsync": "off",  # kind to it: ours is durable
    "jit": "off",
    # Not planned anew for each list of keys, and rows come in one order, so that replies can be
    # compared: an index gives them by key, a scan by place.
    "plan_cache_mode": "force_generic_plan",
    "synchronize_seqscans": "off",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "512MB",
    "shared_buffers": "3GB",
    "autovacuum": "off",
    "max_parallel_maintenance_workers": "0",
}


def connect(folder: Path, port: int) -> Any:
    """Waits for a server that listens already and still starts."""
    import psycopg

    end = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            return psycopg.connect(
                host=str(folder), port=port, user=USER, dbname="postgres", autocommit=True
            )
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class PostgresSession(Session):
    cpus = measure.CLIENT_CPUS

    def __init__(self, setting: Setting, table: Table, work: Path, port: int) -> None:
        self.table, self.shape, self.work, self.port = table, table.shape, work, port
        self.packing = setting.options.get("packing")
        self.index = setting.options.get("index", "btree")
        self.connection = connect(work, port)
        self.cursor = self.connection.cursor(binary=True)
        self.floats = len(self.shape.read_floats)
        texts = self.shape.names[self.shape.float_count :]
        self.packed_names = ["v"] if self.packing else self.shape.read_names[: self.floats]
        self.sql = f"SELECT id, {', '.join([*self.packed_names, *texts])} FROM t WHERE id = ANY(%)"
        self.frame = self._frame
        self.matrix = None if self.shape.text_count else self._matrix
        self._sets: KeySets | None = None

    # -- loading ----------------------------------------------------------------------------------

    def load(self) -> None:
        start = time.monotonic()
        kind = "text" if self.table.key_type == "utf8" else "int8"
        floats = self.shape.names[: self.shape.float_count]
        columns = [f"{name} real" for name in floats]
        if self.packing:
            columns = ["v real[]" if self.packing == "array" else "v bytea"]
        columns += [f"{name} text" for name in self.shape.names[self.shape.float_count :]]
        run = self.connection.execute
        run(f"CREATE UNLOGGED TABLE t (id {kind} NOT NULL, {', '.join(columns)})")
        with self.cursor.copy("COPY t FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(pg_wire.COPY_HEAD)
            for first, count in chunks(self.table.rows, 50_000):
                copy.write(self._copy_rows(np.arange(first, first + count, dtype=np.uint64)))
            copy.write(pg_wire.COPY_END)
        names = [column.split()[0] for column in columns]
        if self.index == "hash":
            run("CREATE INDEX i ON t USING hash (id)")
        elif self.index == "covering" and len(names) <= INDEX_COLUMNS_MAX:
            run(f"CREATE UNIQUE INDEX i ON t (id) INCLUDE ({', '.join(names)})")
        else:
            run("CREATE UNIQUE INDEX i ON t (id)")
        run("VACUUM ANALYZE t")
        run("CREATE EXTENSION pg_prewarm")
        run("SELECT pg_prewarm('t'), pg_prewarm('i')")
        self.load_seconds = time.monotonic() - start
        sizes = run("SELECT pg_table_size('t') + pg_indexes_size('t')").fetchone()
        self.disk_bytes = int(sizes[0])

    def _copy_rows(self, numbers: np.ndarray) -> bytes:
        shape = self.shape
        if self.table.key_type == "utf8":
            key = key_bytes(numbers)
        else:
            key = numbers.astype(">i8").view(np.uint8).reshape(-1, 8)
        values = float_values(numbers, np.arange(shape.float_count))
        fields = 1 + (1 if self.packing else shape.float_count) + shape.text_count
        pieces: list[resp.Piece] = [struct.pack(">hi", fields, key.shape[1]), key]
        if self.packing == "bytes":
            pieces += [struct.pack(">i", 4 * shape.float_count), values.view(np.uint8)]
        else:
            big = values.astype(">f4").view(np.uint8)
            if self.packing == "array":
                head = struct.pack(">iiiii", 1, 0, 700, shape.float_count, 1)
                pieces.append(struct.pack(">i", 20 + 8 * shape.float_count) + head)
            for c in range(shape.float_count):
                pieces += [struct.pack(">i", 4), big[:, 4 * c : 4 * c + 4]]
        for c in range(shape.text_count):
            text, lengths = text_bytes(numbers, c)
            pieces.append(lengths.astype(">i4").view(np.uint8).reshape(-1, 4))
            pieces.append((text, lengths))
        return resp.assemble(len(numbers), pieces)

    # -- reading ----------------------------------------------------------------------------------

    def _read(self, keys: list) -> tuple[np.ndarray, list[list[str | None]]]:
        """-> floats [keys, columns], and the values of each text column."""
        cast = "text[]" if self.table.key_type == "utf8" else "int8[]"
        self.cursor.execute(self.sql.replace("%", f"%b::{cast}"), (keys,), prepare=True)
        if self.packing and not self.shape.text_count:
            return self._packed_only(keys), []
        answers = self.cursor.fetchall()
        if not answers:
            nothing = [[None] * len(keys) for _ in range(self.shape.text_count)]
            return np.full((len(keys), self.floats), np.nan, np.float32), nothing
        columns = list(zip(*answers, strict=True))
        rows, found = rows_of(list(columns[0]), keys)
        if self.packing == "bytes":
            values = self._unpack(list(columns[1]))
        else:
            wide = columns[1] if self.packing else np.transpose(columns[1 : 1 + self.floats])
            values = np.array(wide, np.float32)
        texts = []
        for column in columns[1 + len(self.packed_names) :]:
            taken = zip(rows.tolist(), found.tolist(), strict=True)
            texts.append([column[row] if here else None for row, here in taken])
        return scatter(values, rows, found), texts

    def _packed_only(self, keys: list) -> np.ndarray:
        """Values as bytes straight from libpq's result, none of them made an object of Python's."""
        result = self.cursor.pgresult
        value = result.get_value
        count = result.ntuples
        raw = [value(row, 0) for row in range(count)]
        if self.table.key_type == "utf8":
            ids = [key.decode() for key in raw]
        else:
            ids = np.frombuffer(b"".join(raw), ">i8").tolist()
        rows, found = rows_of(ids, keys)
        return scatter(self._unpack([value(row, 1) for row in range(count)]), rows, found)

    def _unpack(self, values: list[bytes]) -> np.ndarray:
        """Shape: [rows, columns read]."""
        if not values:
            return np.empty((0, self.floats), np.float32)
        if self.packing == "array":
            wide = pg_wire.array_floats(values, self.shape.float_count)
        else:
            wide = np.frombuffer(b"".join(values), np.float32).reshape(len(values), -1)
        return wide if self.shape.read_step == 1 else wide[:, self.shape.read_floats]

    def _matrix(self, keys: list) -> np.ndarray:
        return self._read(keys)[0]

    def _frame(self, keys: list) -> Any:
        import pandas as pd

        floats, texts = self._read(keys)
        frame = pd.DataFrame(floats, columns=self.shape.read_names[: self.floats])
        for name, values in zip(self.shape.names[self.shape.float_count :], texts, strict=True):
            frame[name] = values
        return frame

    # -- bytes on a socket ------------------------------------------------------------------------

    def raw(self, sets: KeySets, seconds: float) -> Slice:
        if self._sets is not sets:
            self._write_exchanges(sets)
            self._sets = sets
        address = [f"--unix={self.work}/.s.PGSQL.{self.port}"]
        preamble = f"--preamble={self.work / 'preamble'}"
        return wire.run(self.work / "exchanges", address, seconds, preamble)

    def _write_exchanges(self, sets: KeySets) -> None:
        """Asks every set once, compares the answer, and keeps it as the one that is due."""
        connection = pg_wire.Connection(f"{self.work}/.s.PGSQL.{self.port}")
        oid = pg_wire.TEXTS if self.table.key_type == "utf8" else pg_wire.INT8S
        begin = [pg_wire.startup(USER), pg_wire.parse(self.sql.replace("%", "$1"), oid)]
        preamble = [(request, connection.ask(request)) for request in begin]
        wire.write_exchanges(self.work / "preamble", preamble)
        checks, pairs = Checks(sets), []
        for index, keys in enumerate(sets.keys):
            request = pg_wire.execute(pg_wire.array_of(keys))
            reply = connection.ask(request)
            if index < 20 or index % 20 == 0:  # taking one apart takes Python 20 ms
                self._check(reply, keys, checks, index)
            pairs.append((request, reply))
        connection.close()
        wire.write_exchanges(self.work / "exchanges", pairs)

    def _check(self, reply: bytes, keys: list, checks: Checks, index: int) -> None:
        answers = pg_wire.rows(reply)
        if self.table.key_type == "utf8":
            ids = [row[0].decode() for row in answers]
        else:
            ids = [int.from_bytes(row[0], "big") for row in answers]
        rows, found = rows_of(ids, keys)
        if self.packing:
            values = self._unpack([row[1] for row in answers])
        else:
            data = b"".join(b"".join(row[1 : 1 + self.floats]) for row in answers)
            values = np.frombuffer(data, ">f4").astype(np.float32).reshape(-1, self.floats)
        import pandas as pd

        columns = self.shape.read_names
        frame = pd.DataFrame(scatter(values, rows, found), columns=columns[: self.floats])
        first = 1 + len(self.packed_names)
        for place, name in enumerate(columns[self.floats :], start=first):
            taken = zip(rows.tolist(), found.tolist(), strict=True)
            frame[name] = [answers[r][place].decode() if here else None for r, here in taken]
        checks.frame(frame, index)


class Postgres(Rival):
    name = "postgres"
    title = "PostgreSQL 15, = ANY($1) prepared"
    load_rows_per_s = 150_000
    settings = (
        Setting("btree", "a real column each, a btree on the key"),
        Setting("covering", "a btree that INCLUDEs all columns: no heap", {"index": "covering"}),
        Setting("hash", "a hash index: one page a key", {"index": "hash"}),
        Setting(
            "array",
            "one real[] a row, INCLUDEd in the btree; taken apart by NumPy",
            {"packing": "array", "index": "covering"},
        ),
        Setting(
            "bytea",
            "float32 back to back in one bytea, INCLUDEd in the btree; one np.frombuffer for all",
            {"packing": "bytes", "index": "covering"},
        ),
    )

    def missing(self) -> str | None:
        if not (PROGRAMS / "initdb").exists():
            return "no PostgreSQL 15 (tools/setup.sh rivals)"
        return can_import("psycopg")

    def rows_max(self, shape: Shape) -> int:
        return 12_000_000_000 // (4 * shape.float_count + 80)

    @contextlib.contextmanager
    def open(self, setting: Setting, table: Table, work: Path) -> Iterator[PostgresSession]:
        user = USER if os.geteuid() == 0 else None  # it refuses to run as root
        data, log, port = work / "data", work / "log", servers.free_port()
        initdb = [PROGRAMS / "initdb", "-D", data, "-U", USER, "-A", "trust", "--locale=C"]
        initdb += ["-E", "UTF8", "--no-sync"]
        done = subprocess.run(initdb, user=user, cwd="/", capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"initdb: {done.stderr.strip()[-400:]}")
        command = [PROGRAMS / "postgres", "-D", data, "-p", str(port), "-k", work]
        for name, value in CONFIG.items():
            command += ["-c", f"{name}={value}"]
        stop = servers.signal.SIGINT  # ends open connections too
        cpus = measure.SERVER_CPUS
        with servers.process(command, cpus=cpus, user=user, stop=stop, log=log) as server:
            servers.wait_for_port(server, port, log)
            empty = servers.family_pss_bytes(server.pid)
            session = PostgresSession(setting, table, work, port)
            with session.connection:
                session.load()
                session.memory_bytes = servers.family_pss_bytes(server.pid) - empty
                yield session
