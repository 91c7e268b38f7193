"""The tables of a server, with the calls of an embedded database."""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import pyarrow as pa

from fletching._endpoint import checked_key, parse_url
from fletching._errors import (
    BusyError,
    FletchingError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from fletching._frames import Source
from fletching._keys import key_arrays
from fletching._native import Answer, Call, Column, Remote, RowStream, TableInfo, read_table_info
from fletching._result import matrix_of
from fletching._store import KeyArrays, Store

T = TypeVar("T")


class Client(Store):
    """Made by `fletching.connect`. Any thread may call any method at any time; calls of several
    threads use a connection each. Connections are kept between calls, and none is shared with a
    parent or child of a fork. Pickles as URL and options, the key among them; `repr` hides it.

    timeout_ms: how long nothing may move on a connection before a call gives up with DeadlineError.
        A long answer that keeps coming takes as long as it takes.
    connect_timeout_ms: how long to wait for a connection.
    retries: how often a call is tried again after the server was too busy or not there. A call that
        changes something is only sent again if nothing of it can have been done.
    idle_connections_max: connections kept between calls.
    tls_ca: for an https URL, a file (PEM) with the certificates to trust; if not given, those that
        the system trusts.
    api_key: the secret of a key, for a server that asks for one; if not given, what the environment
        says as FLETCHING_API_KEY.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_ms: int = 30_000,
        connect_timeout_ms: int = 5_000,
        retries: int = 3,
        idle_connections_max: int = 16,
        tls_ca: str | os.PathLike[str] | None = None,
        api_key: str | None = None,
    ) -> None:
        self.url = url
        """As it was given."""
        self._options: dict[str, Any] = {
            "timeout_ms": timeout_ms,
            "connect_timeout_ms": connect_timeout_ms,
            "retries": retries,
            "idle_connections_max": idle_connections_max,
            "tls_ca": None if tls_ca is None else os.fspath(tls_ca),
            "api_key": checked_key(api_key),
        }
        self._tables = RemoteTables(url, **self._options)

    _is_local = False

    @property
    def _engine(self) -> "RemoteTables":
        return self._tables

    def _key_arrays(self, name: str, keys: Any) -> KeyArrays:
        known = self._tables.known_table(name)
        if known is not None:
            try:
                return key_arrays(keys, known)
            except FletchingError:
                pass  # or the table was made again with another key
        return key_arrays(keys, self._tables.get_table(name))

    def close(self) -> None:
        """Closes the connections. Results stay good; further calls fail."""
        self._tables.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_connect, (self.url, self._options))

    def __repr__(self) -> str:
        return f"fletching.connect({self.url!r})"


def _connect(url: str, options: dict[str, Any]) -> Client:
    return Client(url, **options)


class RemoteTables:
    """A server as a store wants it. `start_*` begin a call, for whoever drives it otherwise."""

    def __init__(
        self,
        url: str,
        *,
        timeout_ms: int,
        connect_timeout_ms: int,
        retries: int,
        idle_connections_max: int,
        tls_ca: str | None,
        api_key: str,
    ) -> None:
        scheme, host, port, self._prefix = parse_url(url)
        if scheme == "http" and tls_ca is not None:
            raise InvalidArgumentError(f"tls_ca is for https, and '{url}' is not")
        self._retries = retries
        self._known: dict[str, TableInfo] = {}  # for their keys, which never change
        self._open_remote: Remote | None = Remote(
            host,
            port,
            connect_timeout_ms,
            timeout_ms,
            idle_connections_max,
            api_key,
            (tls_ca or "") if scheme == "https" else None,
        )

    @property
    def _remote(self) -> Remote:
        remote = self._open_remote
        if remote is None:
            raise InvalidArgumentError("this client is closed; connect again")
        return remote

    def close(self) -> None:
        self._open_remote = None

    # -- tables -------------------------------------------------------------------------------

    def create_table(
        self, name: str, columns: list[Column], key: list[str], event_time: str, ttl_ms: int
    ) -> None:
        # The key's order is that of its columns here, so they come first.
        ordered = sorted(columns, key=lambda c: key.index(c.name) if c.name in key else len(key))
        described: dict[str, Any] = {column.name: _column_json(column, key) for column in ordered}
        schema: dict[str, Any] = {"columns": described}
        if event_time:
            schema["event_time"] = event_time
        if ttl_ms:
            schema["ttl"] = ttl_ms
        self._ask("PUT", self.target(name), schema)
        self._known.pop(name, None)

    def drop_table(self, name: str) -> None:
        self._known.pop(name, None)
        self._ask("DELETE", self.target(name))

    def get_table(self, name: str) -> TableInfo:
        info = read_table_info(self._ask("GET", self.target(name)))
        self._known[name] = info
        return info

    def key_table(self, name: str) -> TableInfo:
        return self._known.get(name) or self.get_table(name)

    def known_table(self, name: str) -> TableInfo | None:
        return self._known.get(name)

    def list_tables(self) -> list[TableInfo]:
        text = self._ask("GET", f"{self._prefix}/api/v1/table")
        try:
            names = sorted(json.loads(text))
        except ValueError:
            raise UnavailableError(f"{self._remote.where} does not answer in JSON") from None
        tables = []
        for name in names:
            with suppress(NotFoundError):  # dropped a moment ago
                tables.append(self.get_table(name))
        return tables

    def add_column(self, table: str, column: Column) -> None:
        described = {"name": column.name, **_column_json(column, [])}
        del described["key"]
        self._ask("POST", self.target(table, "/columns"), described)

    def widen_column(self, table: str, column: Column) -> None:
        target = self.target(table, f"/columns/{quote(column.name, safe='')}")
        self._ask("PATCH", target, {"dtype": column.dtype})

    def roll_back(self, table: str) -> None:
        self._ask("POST", self.target(table, "/rollback"))

    def compact(self, table: str) -> None:
        self._ask("POST", self.target(table, "/compact"))

    # -- rows ---------------------------------------------------------------------------------

    def write(
        self, table: str, source: Source, patch: bool, progress: Callable[[int], None] | None
    ) -> tuple[int, int]:
        return self._run(
            lambda: self.start_write(table, source, patch, progress),
            Call.written,
            repeatable=source.is_repeatable,
        )

    def delete(self, table: str, keys: KeyArrays, event_time_us: int | None) -> tuple[int, int]:
        with self.forgetting(table):
            return self._run(lambda: self.start_delete(table, keys, event_time_us), Call.written)

    def read(
        self, table: str, keys: KeyArrays, columns: list[str] | None, hits_only: bool
    ) -> Answer:
        count = len(keys[0])
        with self.forgetting(table):
            return self._run(
                lambda: self.start_read(table, keys, columns),
                lambda call: call.answer(count, hits_only),
            )

    def read_matrix(
        self,
        table: str,
        keys: KeyArrays,
        columns: list[str] | None,
        dtype: Any,
        fill: float | None,
        out: Any,
    ) -> Any:
        return matrix_of(self.read(table, keys, columns, False), dtype, fill, out)

    def read_many(self, reads: list[tuple[str, KeyArrays, list[str] | None, bool]]) -> list[Answer]:
        for _ in range(100):
            answers = [self.read(*read) for read in reads]
            seen: dict[str, int] = {}
            if all(
                seen.setdefault(read[0], answer.version) == answer.version
                for read, answer in zip(reads, answers, strict=True)
            ):
                return answers
        raise UnavailableError("a table that is read twice changes too fast to read one version")

    def scan(self, table: str, columns: list[str] | None, limit_rows: int) -> RowStream:
        query = {} if columns is None else {"columns": ",".join(columns)}
        if limit_rows >= 0:
            query["limit"] = str(limit_rows)
        target = self.target(table, "/rows") + (f"?{urlencode(query)}" if query else "")
        return self._run(lambda: self._remote.start_scan(target), Call.rows)

    def sql(
        self, query: str, parameters: list[tuple[str, Any]], timeout_ms: int, rows_max: int
    ) -> RowStream:
        document: dict[str, Any] = {"sql": query}
        if parameters:
            document["parameters"] = dict(parameters)
        if timeout_ms:
            document["timeout_ms"] = timeout_ms
        if rows_max:
            document["rows_max"] = rows_max
        body = json.dumps(document, allow_nan=False).encode()
        target = f"{self._prefix}/api/v1/sql"
        return self._run(lambda: self._remote.start_sql(target, body), Call.rows)

    # -- calls --------------------------------------------------------------------------------

    def target(self, table: str, rest: str = "") -> str:
        return f"{self._prefix}/api/v1/table/{_quoted(table)}{rest}"

    def start_read(self, table: str, keys: KeyArrays, columns: list[str] | None) -> Call:
        names = self.key_table(table).key
        return self._remote.start_fetch(self.target(table, "/fetch"), names, _plain(keys), columns)

    def start_delete(self, table: str, keys: KeyArrays, event_time_us: int | None) -> Call:
        names = self.key_table(table).key
        return self._remote.start_delete(
            self.target(table, "/delete"), names, _plain(keys), event_time_us
        )

    def start_write(
        self,
        table: str,
        source: Source,
        patch: bool,
        progress: Callable[[int], None] | None,
    ) -> Call:
        query = "?extra_columns=error" + ("&mode=patch" if patch else "")
        target = self.target(table, "/write") + query
        return self._remote.start_write(target, source, progress)

    def _ask(self, method: str, target: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        content_type = "" if body is None else "application/json"
        safe = method == "GET"
        return self._run(
            lambda: self._remote.start(method, target, data, content_type, safe),
            Call.text,
        )

    def _run(
        self, start: Callable[[], Call], take: Callable[[Call], T], repeatable: bool = True
    ) -> T:
        """repeatable: False says that `start` can give the request's body once only."""
        call = start()
        for delay in self.delays():
            try:
                call.run()
                return take(call)
            except (BusyError, UnavailableError) as error:
                if delay is None or not may_repeat(call, error):
                    raise
                if call.began and not repeatable:
                    raise
            time.sleep(delay)
            call = renewed(call, start)
        raise AssertionError("the last delay is None")

    def delays(self) -> Iterator[float | None]:
        """Seconds between tries, longer and longer and never quite the same; then None."""
        for number in range(self._retries):
            yield random.uniform(0.5, 1.0) * min(0.1 * 2**number, 2.0)
        yield None

    def forgetting(self, table: str) -> "_Forgetting":
        return _Forgetting(self._known, table)


class _Forgetting:
    """A table may be dropped and made again with another key; what failed is not trusted twice."""

    def __init__(self, known: dict[str, TableInfo], table: str) -> None:
        self._known, self._table = known, table

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, FletchingError):
            self._known.pop(self._table, None)


@lru_cache
def _quoted(name: str) -> str:
    return quote(name, safe="")


def _plain(keys: KeyArrays) -> KeyArrays:
    """A stream of keys carries no dictionaries."""
    return [k.dictionary_decode() if isinstance(k, pa.DictionaryArray) else k for k in keys]


def may_repeat(call: Call, error: FletchingError) -> bool:
    """Whether nothing can have been done, or doing it twice is the same."""
    return isinstance(error, BusyError) or call.safe_to_repeat or not call.began


def renewed(call: Call, start: Callable[[], Call]) -> Call:
    if not call.began:
        call.restart()  # the rows of a write can be taken only once
        return call
    return start()


def _column_json(column: Column, key: list[str]) -> dict[str, Any]:
    is_key = column.name in key
    return {
        "dtype": column.dtype,
        "nullable": column.nullable and not is_key,
        "key": is_key,
        "strict": column.strict,
    }
