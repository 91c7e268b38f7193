"""What an embedded database and a remote one have in common: all calls about tables and rows."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from fletching._errors import (
    AlreadyExistsError,
    CorruptionError,
    FletchingError,
    InvalidArgumentError,
    NotFoundError,
)
from fletching._frames import Source, as_source
from fletching._keys import key_arrays
from fletching._load import Progress, find_files, open_files, reporter
from fletching._native import Answer, Column, KeyArray, RowStream, TableInfo
from fletching._result import ReadResult
from fletching._schema import key_names, make_columns, stored_type, ttl_milliseconds
from fletching._sql_result import SqlResult
from fletching._table import Table


class WriteResult(NamedTuple):
    """What a write, load or delete has done."""

    row_count: int
    """Rows given; a key that occurs twice counts twice."""
    version: int
    """Number of the commit that shows them."""


# One array per key column.
KeyArrays = list[pa.Array | KeyArray]


class Tables(Protocol):
    """What a store stands on: the engine in this process, or a server behind a connection."""

    def create_table(
        self, name: str, columns: list[Column], key: list[str], event_time: str, ttl_ms: int
    ) -> None: ...
    def drop_table(self, name: str) -> None: ...
    def get_table(self, name: str) -> TableInfo: ...
    def key_table(self, name: str) -> TableInfo: ...  # may be old, but for its key
    def list_tables(self) -> list[TableInfo]: ...
    def write(
        self, table: str, source: Source, patch: bool, progress: Callable[[int], None] | None
    ) -> tuple[int, int]: ...
    def delete(self, table: str, keys: KeyArrays, event_time_us: int | None) -> tuple[int, int]: ...
    def read(
        self, table: str, keys: KeyArrays, columns: list[str] | None, hits_only: bool
    ) -> Answer: ...
    def read_many(
        self, reads: list[tuple[str, KeyArrays, list[str] | None, bool]]
    ) -> list[Answer]: ...
    def read_matrix(
        self,
        table: str,
        keys: KeyArrays,
        columns: list[str] | None,
        dtype: Any,
        fill: float | None,
        out: Any,
    ) -> Any: ...
    def scan(self, table: str, columns: list[str] | None, limit_rows: int) -> RowStream: ...
    def sql(
        self, query: str, parameters: list[tuple[str, Any]], timeout_ms: int, rows_max: int
    ) -> RowStream: ...
    def add_column(self, table: str, column: Column) -> None: ...
    def widen_column(self, table: str, column: Column) -> None: ...
    def compact(self, table: str) -> None: ...
    def roll_back(self, table: str) -> None: ...


class Store:
    """All calls that `fletching.open` and `fletching.connect` share. Any thread may call any of
    them at any time; long calls let other threads of Python run.

    Errors: a FletchingError of the kind that fits: NotFoundError for a table that is not there,
    SchemaMismatchError for data or keys of the wrong type (no cast is guessed),
    InvalidArgumentError for what makes no sense.
    """

    _is_local = True

    @property
    def _engine(self) -> Tables:
        raise NotImplementedError

    def _key_arrays(self, name: str, keys: Any) -> KeyArrays:
        return key_arrays(keys, self._engine.key_table(name))

    # -- tables -------------------------------------------------------------------------------

    def create_table(
        self,
        name: str,
        schema: Any,
        *,
        key: str | Sequence[str],
        event_time: str | None = None,
        ttl: timedelta | None = None,
        strict: bool = True,
    ) -> None:
        """Makes an empty table.

        schema: a pyarrow schema, or {name: dtype} with dtypes as text ("utf8", "float32",
            "timestamp[us, UTC]", "list<float32>") or pyarrow types.
        key: the column or columns that identify a row; never null.
        event_time: a timestamp column; then the newest event of a key wins, not the last write.
        ttl: rows older than this read as missing.
        strict: False lets float64 be written to float32 columns, rounded.
        """
        keys = key_names(key)
        columns = make_columns(schema, keys, strict)
        self._engine.create_table(name, columns, keys, event_time or "", ttl_milliseconds(ttl))

    def drop(self, name: str) -> None:
        """Removes a table and its files. Errors: NotFoundError."""
        self._engine.drop_table(name)

    def tables(self) -> list[TableInfo]:
        """Every table, by name. A damaged one says so in `damage` and does not stop the others."""
        return self._engine.list_tables()

    def table(self, name: str) -> TableInfo:
        """What a table is and how large. Errors: NotFoundError."""
        return self._engine.get_table(name)

    def __getitem__(self, name: str) -> Table:
        """The table, for looking at it; KeyError when there is none."""
        self._engine.get_table(name)
        return Table(self, name)

    def __contains__(self, name: object) -> bool:
        try:
            self._engine.get_table(str(name))
        except NotFoundError:
            return False
        except CorruptionError:
            pass  # it is there
        return True

    def schema(self, name: str) -> pa.Schema:
        """The table's columns as pyarrow sees them. Key columns are those of `table(name).key`."""
        return pa.schema(self._engine.get_table(name))

    def add_column(self, name: str, column: str, dtype: Any, *, strict: bool = True) -> None:
        """Adds a column, null in every row so far. No data is rewritten.

        dtype, strict: as for `create_table`.
        """
        if isinstance(dtype, pa.DataType):
            dtype = stored_type(dtype)
        self._engine.add_column(name, Column(column, dtype, nullable=True, strict=strict))

    def widen_column(self, name: str, column: str, dtype: Any) -> None:
        """Gives a column a wider type (int32 -> int64, float32 -> float64), rewriting no data."""
        self._engine.widen_column(name, Column(column, dtype))

    def compact(self, name: str) -> None:
        """Merges all files of a table into one without replaced, deleted or expired rows. Happens
        by itself as well; reads and writes go on meanwhile."""
        self._engine.compact(name)

    def rollback(self, name: str) -> None:
        """Shows what a table held before it was last loaded as a whole (`table(name).generation`),
        rows and schema, at once. A server does not load again what was taken back. Called twice, it
        changes nothing. Errors: NotFoundError, also when nothing earlier is kept."""
        self._engine.roll_back(name)

    # -- rows ---------------------------------------------------------------------------------

    def write(
        self,
        name: str,
        frame: Any,
        key: str | Sequence[str] | None = None,
        *,
        mode: str = "replace",
    ) -> WriteResult:
        """Stores all rows of `frame`, or none if anything is wrong with it; durable on return.

        frame: pandas or Polars, a PyArrow table, batch or reader, a dict of columns (lists, NumPy
            arrays, tensors; two dimensions make a column of lists of one length), anything with
            the Arrow stream interface, or the path of Parquet, CSV or Arrow files as for `load`.
        key: makes the table, with the frame's own types, if there is none yet.
        mode: "replace" wants every column and replaces whole rows; "patch" keeps what the frame
            does not name.
        """
        if mode not in ("replace", "patch"):
            raise InvalidArgumentError(f"mode is 'replace' or 'patch', not '{mode}'")
        return self._write_source(name, as_source(frame), key, mode == "patch", None)

    def _write_source(
        self,
        name: str,
        source: Source,
        key: str | Sequence[str] | None,
        patch: bool,
        progress: Callable[[int], None] | None,
    ) -> WriteResult:
        is_new = key is not None and self._ensure_table(name, source, key_names(key))
        try:
            return self._write(name, source, patch, progress)
        except BaseException as error:
            # We made it a moment ago, for these rows. After Ctrl-C nobody waits for a server.
            if is_new and (self._is_local or isinstance(error, Exception)):
                with suppress(FletchingError):
                    if self._engine.get_table(name).row_count == 0:
                        self._engine.drop_table(name)
            raise

    def load(
        self,
        name: str,
        path: str | os.PathLike[str],
        key: str | Sequence[str] | None = None,
        *,
        progress: bool | Callable[[int], None] = False,
    ) -> WriteResult:
        """Stores the rows of all files, or none of them; a key in several has the last one's row.

        path: a Parquet, CSV or Arrow file, a folder of them, or a glob; taken by name.
        key: as for `write`.
        progress: True shows rows, rows/s and the time left on stderr; or a function that is called
            with the rows so far, and may raise to end the load.
        """
        rows, total = open_files(find_files(path))
        report = reporter(progress, total)
        result = self._write_source(name, as_source(rows), key, False, report)
        if isinstance(report, Progress):
            report.end(result.row_count)
        return result

    def _write(
        self, name: str, source: Source, patch: bool, progress: Callable[[int], None] | None
    ) -> WriteResult:
        try:
            return WriteResult(*self._engine.write(name, source, patch, progress))
        except FletchingError:
            if source.failure is None:
                raise
            failure = source.failure
        if isinstance(failure, pa.ArrowInvalid):
            raise InvalidArgumentError(str(failure)) from failure
        raise failure

    def _ensure_table(self, name: str, source: Source, key: list[str]) -> bool:
        """Whether the table was made. One that is there must have the same key."""
        try:
            existing = self._engine.get_table(name).key
        except NotFoundError:
            try:
                self.create_table(name, source.schema, key=key)
                return True
            except AlreadyExistsError:  # by someone else, in this moment
                existing = self._engine.get_table(name).key
        if existing != key:
            raise InvalidArgumentError(f"the key of table '{name}' is {existing}, not {key}")
        return False

    def read(
        self,
        name: str,
        keys: Any,
        columns: Sequence[str] | None = None,
        *,
        missing: str = "null",
        fill: Any = None,
    ) -> ReadResult:
        """Values for many keys at once, one row per key in the order of the keys.

        keys: a list, NumPy array, pandas or Polars series or Arrow array. If the key has several
            columns: a list of tuples, or a dict or table with the key columns.
        columns: those wanted, in this order; all but the key if not said.
        missing: what a key that is not there gets: a row of nulls ("null"), no row ("drop"), or
            the whole read a NotFoundError that names the first such key ("error").
        fill: takes the place of nulls, whatever they come from: one value for all columns, or a
            dict by column.
        """
        check_missing(missing)
        arrays = self._key_arrays(name, keys)
        wanted = None if columns is None else column_names(columns)
        answer = self._engine.read(name, arrays, wanted, missing == "drop")
        return read_result(name, arrays, answer, missing, fill)

    def read_many(self, reads: Iterable[Sequence[Any]]) -> list[ReadResult]:
        """Several reads in one call, answered in their order. Every table is read as it stood at
        one moment: reads of the same table see the same version.

        reads: of (table, keys) or (table, keys, columns), as for `read`.
        """
        asked = []
        for read in reads:
            name, keys, columns = (*read, None)[:3]
            arrays = self._key_arrays(name, keys)
            asked.append((name, arrays, None if columns is None else column_names(columns), False))
        answers = self._engine.read_many(asked)
        return [ReadResult(answer, len(a[1][0])) for a, answer in zip(asked, answers, strict=True)]

    def read_matrix(
        self,
        name: str,
        keys: Any,
        columns: Sequence[str] | None = None,
        *,
        dtype: Any = None,
        fill: float | None = None,
        out: Any = None,
    ) -> Any:
        """Numbers for many keys at once, as a model eats them. An embedded database writes them
        straight into the matrix, out of the rows it keeps.

        Shape: [keys, columns], row-major.
        dtype: float32 (if not said), float64, float16, int32 or int64. Columns are integers, floats
            and bools; floats round, integers must fit.
        fill: takes the place of nulls and of keys that are not there; NaN for floats if not said.
        out: memory of that shape to write into, which then decides the dtype and is what comes
            back: a NumPy array, or a tensor that speaks DLPack (PyTorch, JAX, ...) on the CPU. It
            may be part of a larger one. If anything is wrong, what it holds is undefined.
        """
        arrays = self._key_arrays(name, keys)
        wanted = None if columns is None else column_names(columns)
        return self._engine.read_matrix(name, arrays, wanted, dtype, fill, out)

    def delete(self, name: str, keys: Any, *, event_time: datetime | None = None) -> WriteResult:
        """Removes the rows of these keys; a key that is not there is no error. For tables with an
        event time, an older deletion (`event_time`, now if not said) does not remove newer rows."""
        time_us = None
        if event_time is not None:
            time_us = pa.scalar(event_time, pa.timestamp("us", "UTC")).value
        arrays = self._key_arrays(name, keys)
        return WriteResult(*self._engine.delete(name, arrays, time_us))

    def scan(
        self, name: str, columns: Sequence[str] | None = None, limit: int | None = None
    ) -> pa.RecordBatchReader:
        """All rows as they stand now, in no particular order, batch by batch. Key columns come
        first if no columns are named."""
        wanted = None if columns is None else column_names(columns)
        stream = self._engine.scan(name, wanted, -1 if limit is None else limit)
        # Batch by batch through Python: Ctrl-C is heard between two of them, and errors stay ours.
        return pa.RecordBatchReader.from_batches(pa.schema(stream), _batches(stream))

    def sql(
        self,
        query: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        timeout_ms: int | None = None,
        rows_max: int | None = None,
    ) -> SqlResult:
        """One SELECT in DuckDB's dialect over the tables, each as it is at one moment.

            db.sql("SELECT carrier, avg(dep_delay) d FROM flights WHERE month = $1 GROUP BY 1", [6])

        parameters: a list for $1, $2, ... or a dict for $name: None, bools, numbers, texts, and
            lists of these, as in `WHERE id IN (SELECT unnest($ids))`.
        timeout_ms: time until the last row was read; a minute if not given, or what a server says.
        rows_max: an answer with more rows is an error; no limit if not given.
        Errors: InvalidArgumentError in DuckDB's words, NotFoundError for a table, DeadlineError;
        NotImplementedError where the package duckdb is missing: `pip install fletching[sql]`.
        """
        stream = self._engine.sql(query, _named(parameters), timeout_ms or 0, rows_max or 0)
        return SqlResult(pa.RecordBatchReader.from_batches(pa.schema(stream), _batches(stream)))


def _named(parameters: Sequence[Any] | Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    if parameters is None:
        return []
    if isinstance(parameters, Mapping):
        return [(str(name), _plain_value(value)) for name, value in parameters.items()]
    if isinstance(parameters, str) or not isinstance(parameters, Iterable):
        raise InvalidArgumentError("parameters is a list, or a dict by name")
    return [(str(at), _plain_value(value)) for at, value in enumerate(parameters, 1)]


def _plain_value(value: Any) -> Any:
    """NumPy's and Arrow's as Python's own, lists of any kind as lists."""
    if isinstance(value, pa.Scalar):
        value = value.as_py()
    elif isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    elif isinstance(value, pa.Array | pa.ChunkedArray):
        value = value.to_pylist()
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain_value(member) for member in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidArgumentError(f"{value} is no 64-bit integer; give it as text and cast it")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "tolist"):  # a pandas Series, an Index
        return _plain_value(value.tolist())
    raise InvalidArgumentError(
        "a parameter is None, a bool, a number, a text or a list of these, not "
        f"{type(value).__name__}; give times as text and cast them: $1::TIMESTAMP"
    )


def _batches(stream: RowStream) -> Iterator[pa.RecordBatch]:
    while (batch := stream.next_batch()) is not None:
        yield pa.record_batch(batch)


def check_missing(missing: str) -> None:
    if missing not in ("null", "drop", "error"):
        raise InvalidArgumentError(f"missing is 'null', 'drop' or 'error', not '{missing}'")


def read_result(
    name: str, arrays: KeyArrays, answer: Answer, missing: str, fill: Any
) -> ReadResult:
    """What `read` gives for an answer; raises where a key may not be missing."""
    result = ReadResult(answer, len(arrays[0]), fill)
    if missing == "error" and result.found_count < len(arrays[0]):
        raise NotFoundError(_missing_text(name, arrays, result))
    return result


def _missing_text(name: str, arrays: KeyArrays, result: ReadResult) -> str:
    first = int(np.argmin(result.found))
    key = [pa.array(array)[first].as_py() for array in arrays]
    count = len(result.found) - result.found_count
    shown = key[0] if len(key) == 1 else tuple(key)
    others = f" and {count - 1} more" if count > 1 else ""
    return f"table '{name}' has no key {shown!r} (position {first}){others}"


def column_names(columns: Sequence[str] | Mapping[str, Any]) -> list[str]:
    if isinstance(columns, str):
        raise InvalidArgumentError(f"columns is a single name; give a list: [{columns!r}]")
    return list(columns)
