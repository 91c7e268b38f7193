"""A columnar store that serves features to models, inside this process.

    import fletching

    db = fletching.open("features")
    db.write("docs", frame, key="doc_id")
    db.read("docs", ["a", "b"], ["score"]).to_pandas()

`open` gives a `Database`; its methods are all there is to learn, and `connect` gives a `Client` of
a server that has them too. Data goes in as anything that
speaks the Arrow interface (pandas, Polars, PyArrow, ...) and comes out as a `ReadResult`.
"""

import os
from typing import Any

from fletching import _arrow as _arrow  # first: it checks what the native module links
from fletching._async_client import AsyncClient
from fletching._client import Client
from fletching._database import Database
from fletching._errors import (
    AlreadyExistsError,
    BusyError,
    CancelledError,
    CorruptionError,
    DeadlineError,
    FletchingError,
    ForbiddenError,
    InternalError,
    InvalidArgumentError,
    LockedError,
    NotFoundError,
    SchemaMismatchError,
    StorageFullError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
)
from fletching._native import (
    Column,
    InspectLine,
    MemoryUsage,
    SnapshotReport,
    TableInfo,
    VerifyReport,
)
from fletching._native import Engine as _Engine
from fletching._redis import RedisLoad
from fletching._redis_source import RedisSource
from fletching._result import ReadResult
from fletching._store import Store, WriteResult
from fletching._table import Table

__version__ = "0.1.0"

__all__ = [
    "AlreadyExistsError",
    "AsyncClient",
    "BusyError",
    "CancelledError",
    "Client",
    "Column",
    "CorruptionError",
    "Database",
    "DeadlineError",
    "FletchingError",
    "ForbiddenError",
    "InspectLine",
    "InternalError",
    "InvalidArgumentError",
    "LockedError",
    "MemoryUsage",
    "NotFoundError",
    "ReadResult",
    "RedisLoad",
    "RedisSource",
    "SchemaMismatchError",
    "SnapshotReport",
    "StorageFullError",
    "Store",
    "Table",
    "TableInfo",
    "TooLargeError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "VerifyReport",
    "WriteResult",
    "connect",
    "connect_async",
    "inspect",
    "open",
    "restore",
    "verify",
]


def open(
    path: str | os.PathLike[str], mode: str = "a", *, memory_budget_bytes: int = 0
) -> Database:
    """Opens the tables in a folder.

    mode: "a" reads at once and becomes the folder's one writer at the first write; "w" does so now
    or raises LockedError naming the process that is; "r" only reads, and follows a writer of the
    same machine: what it commits is seen some 20 ms later. "a" and "w" make the folder when it is
    missing.
    memory_budget_bytes: memory for key indexes and for the rows that are used; other rows are read
        from the disk, all of a look-up together. 0: everything is mapped, and the kernel decides.
    """
    return Database(path, mode, memory_budget_bytes=memory_budget_bytes)


def connect(url: str, **options: Any) -> Client:
    """The tables of a server, with the calls of `open`. Connects at the first call.

    url: "http://127.0.0.1:8080"; "host:port" will do.
    options: see `Client`: timeout_ms, connect_timeout_ms, retries, idle_connections_max,
        tls_ca, api_key.
    """
    return Client(url, **options)


def connect_async(url: str, **options: Any) -> AsyncClient:
    """The same for asyncio: every call is awaited. See `AsyncClient`."""
    return AsyncClient(url, **options)


def restore(
    snapshot: str | os.PathLike[str], path: str | os.PathLike[str], *, verify: bool = True
) -> SnapshotReport:
    """Copies a snapshot (or any data folder) into a new or empty folder, to be opened there.

    The snapshot stays as it is; files that never change are shared as hard links where the file
    system can.

    verify: every byte is checked first, and damage raises CorruptionError, naming file and offset,
        with nothing restored. False restores what opens; `left_out` of the answer names the rest.
    """
    with Database(snapshot, "r") as source:
        return source.snapshot(path, verify=verify)


def inspect(path: str | os.PathLike[str], show_all: bool = False) -> list[InspectLine]:
    """What stands in a file of a data folder, in the words of docs/format.md, damaged or cut short
    as it may be; of a data folder, or of a table's, one line a file.

    show_all: every entry of long tables, else the first ten of each.
    """
    return _Engine.inspect(os.fspath(path), show_all)


def verify(path: str | os.PathLike[str]) -> VerifyReport:
    """Reads every byte of every file in a data folder and checks it. No need to open it first."""
    return _Engine.verify(os.fspath(path))
