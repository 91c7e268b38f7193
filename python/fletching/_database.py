"""Tables in a folder, opened inside this process."""

import os
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any

from fletching._errors import InvalidArgumentError
from fletching._native import Engine, MemoryUsage, SnapshotReport, TableInfo
from fletching._redis import RedisLoad, load_redis
from fletching._redis_source import RedisSource
from fletching._result import matrix_memory
from fletching._store import KeyArrays, Store


class LocalTables(Engine):
    """The engine as a store wants it."""

    def key_table(self, name: str) -> TableInfo:
        return self.get_table(name)

    def read_matrix(
        self,
        table: str,
        keys: KeyArrays,
        columns: list[str] | None,
        dtype: Any,
        fill: float | None,
        out: Any,
    ) -> Any:
        if columns is None:  # the matrix is made before the engine looks at the table
            columns = self.get_table(table).value_names
        matrix = matrix_memory(out, dtype, len(keys[0]), len(columns))
        self.read_into(table, keys, columns, matrix, fill)
        return matrix


class Database(Store):
    """Made by `fletching.open`. Any thread may call any method at any time; long calls let other
    threads of Python run. Close it, use it in a `with` statement, or leave it to the exit.

    Errors: as for all stores, and LockedError if another process writes to the folder.

    After a fork the child opens the folder again at its first call, and reads what is committed
    then; one that wrote in the parent leaves the writing to the parent. Pickles as what it was
    opened with.
    """

    def __init__(
        self, path: str | os.PathLike[str], mode: str = "a", *, memory_budget_bytes: int = 0
    ) -> None:
        if memory_budget_bytes < 0:
            raise InvalidArgumentError("memory_budget_bytes is 0 or more; 0 sets no limit")
        self.path = os.fspath(path)
        """The folder."""
        self.mode = mode
        """One of "r", "a", "w", as for `fletching.open`."""
        self.memory_budget_bytes = memory_budget_bytes
        """Memory for segments; 0 = no limit."""
        self._absolute_path = os.path.abspath(self.path)
        self._opening = threading.Lock()
        self._open()
        _opened.add(self)

    def _open(self) -> None:
        self._tables: LocalTables | None = LocalTables(
            self._absolute_path, self.mode, self.memory_budget_bytes
        )
        # Also runs at the exit of the process, while threads can still be ended in order.
        self._closer = weakref.finalize(self, self._tables.close)

    @property
    def _engine(self) -> LocalTables:
        tables = self._tables
        if tables is not None:
            return tables
        with self._opening:
            if self._tables is None:
                self._open()
        return self._engine

    def _forget(self) -> None:
        """In a child of a fork: the engine's threads stayed behind."""
        self._opening = threading.Lock()
        if self._tables is None or not self._closer.alive:
            return  # as it is: not opened here yet, or closed
        self._closer.detach()
        self._tables.abandon()
        self._tables = None
        self.mode = _mode_elsewhere(self.mode)

    def load_redis(
        self,
        name: str,
        source: RedisSource,
        *,
        check_count: int = 1000,
        restart: bool = False,
        progress: bool | Callable[[int], None] = False,
    ) -> RedisLoad:
        """Stores rows of a Redis, batch by batch; makes the table if there is none.

        source: `fletching.RedisSource` says which rows, and how they lie there.
        check_count: so many keys are read again at the end, from both sides, and compared.
        restart: begin anew where a load was left unfinished; otherwise the same call goes on.
        progress: as for `load`.
        """
        return load_redis(
            self, name, source, check_count=check_count, restart=restart, progress=progress
        )

    def snapshot(self, path: str | os.PathLike[str], *, verify: bool = False) -> SnapshotReport:
        """Copies every table into a new or empty folder, which `open` opens like any other.

        One version of each table, with everything written before the call; reads and writes go on
        meanwhile. Files that never change are shared as hard links where the file system can: that
        takes no time and no space, and does not protect from the loss of the disk.
        Durable on return. After an error, Ctrl-C or a crash the folder holds no tables.

        verify: True checks every byte first and raises CorruptionError for damage; else damaged
            tables are left out, and `left_out` of the answer names them.
        """
        return self._engine.snapshot(os.fspath(path), verify)

    def memory_usage(self) -> MemoryUsage:
        """What of the segments is in memory, under `memory_budget_bytes`."""
        return self._engine.memory_usage()

    # -- the database itself ------------------------------------------------------------------

    def close(self) -> None:
        """Stops background work and gives up the lock. Results stay good; further calls fail."""
        if self._tables is None:
            self._open()  # in a child that never used it, so that it is closed from now on
        self._closer()

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        mode = _mode_elsewhere(self.mode)
        return (_open_again, (self._absolute_path, mode, self.memory_budget_bytes))

    def __repr__(self) -> str:
        return f"fletching.open({self.path!r}, mode={self.mode!r})"


def _open_again(path: str, mode: str, memory_budget_bytes: int) -> Database:
    return Database(path, mode, memory_budget_bytes=memory_budget_bytes)


def _mode_elsewhere(mode: str) -> str:
    """For another process: one that insists on writing would only find that we do already."""
    return "a" if mode == "w" else mode


_opened: "weakref.WeakSet[Database]" = weakref.WeakSet()


def _after_fork() -> None:
    for database in list(_opened):
        database._forget()


os.register_at_fork(after_in_child=_after_fork)
