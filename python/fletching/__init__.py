"""A columnar store that serves features to models, inside this process.

    import fletching

    db = fletching.open("features")
    db.write("docs", frame, key="doc_id")
    db.read("docs", ["a", "b"], ["score"]).to_pandas()

`open` gives a `Database`; its methods are all there is to learn. Data goes in as anything that
speaks the Arrow interface (pandas, Polars, PyArrow, ...) and comes out as a `ReadResult`.
"""

import os

from fletching import _arrow as _arrow  # first: it checks what the native module links
from fletching._database import Database, WriteResult
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
from fletching._result import ReadResult
from fletching._table import Table

__version__ = "0.1.0"

__all__ = [
    "AlreadyExistsError",
    "BusyError",
    "CancelledError",
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
    "SchemaMismatchError",
    "StorageFullError",
    "Table",
    "TableInfo",
    "TooLargeError",
    "UnavailableError",
    "UnsupportedError",
    "VerifyReport",
    "WriteResult",
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


def verify(path: str | os.PathLike[str]) -> VerifyReport:
    """Reads every byte of every file in a data folder and checks it. No need to open it first."""
    return _Engine.verify(os.fspath(path))
