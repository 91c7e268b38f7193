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

import pyarrow as _pyarrow  # noqa: F401  first: the native module uses the libraries inside it

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
    InternalError,
    InvalidArgumentError,
    LockedError,
    NotFoundError,
    SchemaMismatchError,
    StorageFullError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from fletching._native import Column, TableInfo, VerifyReport
from fletching._native import Engine as _Engine
from fletching._redis import RedisLoad
from fletching._redis_source import RedisSource
from fletching._result import ReadResult
from fletching._store import WriteResult
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
    "InternalError",
    "InvalidArgumentError",
    "LockedError",
    "NotFoundError",
    "ReadResult",
    "RedisLoad",
    "RedisSource",
    "SchemaMismatchError",
    "StorageFullError",
    "Table",
    "TableInfo",
    "TooLargeError",
    "UnavailableError",
    "UnsupportedError",
    "VerifyReport",
    "WriteResult",
    "connect",
    "connect_async",
    "open",
    "verify",
]


def open(path: str | os.PathLike[str], mode: str = "a") -> Database:
    """Opens the tables in a folder.

    mode: "a" reads at once and becomes the folder's one writer at the first write; "w" does so now
    or raises LockedError naming the process that is; "r" only reads, beside a writer, what was
    there when it was opened. "a" and "w" make the folder when it is missing.
    """
    return Database(path, mode)


def connect(url: str, **options: Any) -> Client:
    """The tables of a server, with the calls of `open`. Connects at the first call.

    url: "http://127.0.0.1:8080"; "host:port" will do.
    options: see `Client`: timeout_ms, connect_timeout_ms, retries, idle_connections_max.
    """
    return Client(url, **options)


def connect_async(url: str, **options: Any) -> AsyncClient:
    """The same for asyncio: every call is awaited. See `AsyncClient`."""
    return AsyncClient(url, **options)


def verify(path: str | os.PathLike[str]) -> VerifyReport:
    """Reads every byte of every file in a data folder and checks it. No need to open it first."""
    return _Engine.verify(os.fspath(path))
