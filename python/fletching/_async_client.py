"""The tables of a server for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pyarrow as pa

from fletching._client import Client, may_repeat, renewed
from fletching._errors import BusyError, UnavailableError
from fletching._native import Answer, Call, TableInfo
from fletching._result import ReadResult, matrix_of
from fletching._sql_result import SqlResult
from fletching._store import (
    KeyArrays,
    WriteResult,
    check_missing,
    column_names,
    read_result,
)

T = TypeVar("T")


class AsyncClient:
    """Made by `fletching.connect_async`: the calls of `Client`, awaited. Reads run in the event
    loop without a thread; a cancelled one closes its connection. Writes, and whatever else is not
    done a thousand times a second, run on threads. Belongs to one event loop.

    connections_max: reads under way at once; more wait for their turn.
    Other options: those of `Client`.
    """

    def __init__(self, url: str, *, connections_max: int = 64, **options: Any) -> None:
        options.setdefault("idle_connections_max", connections_max)
        self.url = url
        """As it was given."""
        self._client = Client(url, **options)
        self._turns = asyncio.Semaphore(connections_max)

    # -- rows ---------------------------------------------------------------------------------

    async def read(
        self,
        name: str,
        keys: Any,
        columns: Sequence[str] | None = None,
        *,
        missing: str = "null",
        fill: Any = None,
    ) -> ReadResult:
        """As `Store.read`."""
        check_missing(missing)
        arrays, answer = await self._read(name, keys, columns, missing == "drop")
        return read_result(name, arrays, answer, missing, fill)

    async def read_matrix(
        self,
        name: str,
        keys: Any,
        columns: Sequence[str] | None = None,
        *,
        dtype: Any = None,
        fill: float | None = None,
        out: Any = None,
    ) -> Any:
        """As `Store.read_matrix`."""
        _, answer = await self._read(name, keys, columns, False)
        return matrix_of(answer, dtype, fill, out)

    async def read_many(self, reads: Iterable[Sequence[Any]]) -> list[ReadResult]:
        """As `Store.read_many`."""
        return await asyncio.to_thread(self._client.read_many, list(reads))

    async def write(
        self,
        name: str,
        frame: Any,
        key: str | Sequence[str] | None = None,
        *,
        mode: str = "replace",
    ) -> WriteResult:
        """As `Store.write`. Cancelling does not take back what was sent."""
        return await asyncio.to_thread(self._client.write, name, frame, key, mode=mode)

    async def load(
        self, name: str, path: Any, key: str | Sequence[str] | None = None, **options: Any
    ) -> WriteResult:
        """As `Store.load`."""
        return await asyncio.to_thread(self._client.load, name, path, key, **options)

    async def delete(
        self, name: str, keys: Any, *, event_time: datetime | None = None
    ) -> WriteResult:
        """As `Store.delete`."""
        return await asyncio.to_thread(self._client.delete, name, keys, event_time=event_time)

    async def scan(
        self, name: str, columns: Sequence[str] | None = None, limit: int | None = None
    ) -> AsyncIterator[pa.RecordBatch]:
        """`async for batch in client.scan("docs")`; see `Store.scan`."""
        rows = await asyncio.to_thread(self._client.scan, name, columns, limit)
        while (batch := await asyncio.to_thread(next, rows, None)) is not None:
            yield batch

    async def sql(
        self,
        query: str,
        parameters: Sequence[Any] | Mapping[str, Any] | None = None,
        *,
        timeout_ms: int | None = None,
        rows_max: int | None = None,
    ) -> SqlResult:
        """As `Store.sql`, with all rows there already: taking them waits for nothing."""

        def ask() -> SqlResult:
            result = self._client.sql(query, parameters, timeout_ms=timeout_ms, rows_max=rows_max)
            return SqlResult(result.to_arrow().to_reader())

        return await asyncio.to_thread(ask)

    # -- tables -------------------------------------------------------------------------------

    async def create_table(
        self,
        name: str,
        schema: Any,
        *,
        key: str | Sequence[str],
        event_time: str | None = None,
        ttl: timedelta | None = None,
        strict: bool = True,
    ) -> None:
        """As `Store.create_table`."""
        await asyncio.to_thread(
            self._client.create_table,
            name,
            schema,
            key=key,
            event_time=event_time,
            ttl=ttl,
            strict=strict,
        )

    async def drop(self, name: str) -> None:
        """As `Store.drop`."""
        await asyncio.to_thread(self._client.drop, name)

    async def tables(self) -> list[TableInfo]:
        """As `Store.tables`."""
        return await asyncio.to_thread(self._client.tables)

    async def table(self, name: str) -> TableInfo:
        """As `Store.table`."""
        return await asyncio.to_thread(self._client.table, name)

    async def schema(self, name: str) -> pa.Schema:
        """As `Store.schema`."""
        return await asyncio.to_thread(self._client.schema, name)

    async def add_column(self, name: str, column: str, dtype: Any, *, strict: bool = True) -> None:
        """As `Store.add_column`."""
        await asyncio.to_thread(self._client.add_column, name, column, dtype, strict=strict)

    async def widen_column(self, name: str, column: str, dtype: Any) -> None:
        """As `Store.widen_column`."""
        await asyncio.to_thread(self._client.widen_column, name, column, dtype)

    async def compact(self, name: str) -> None:
        """As `Store.compact`."""
        await asyncio.to_thread(self._client.compact, name)

    async def rollback(self, name: str) -> None:
        """As `Store.rollback`."""
        await asyncio.to_thread(self._client.rollback, name)

    # -- the client itself --------------------------------------------------------------------

    async def close(self) -> None:
        """Closes the connections. Results stay good; further calls fail."""
        self._client.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"fletching.connect_async({self.url!r})"

    async def _read(
        self, name: str, keys: Any, columns: Sequence[str] | None, hits_only: bool
    ) -> tuple[KeyArrays, Answer]:
        tables = self._client._tables
        if tables.known_table(name) is None:
            await asyncio.to_thread(tables.get_table, name)
        arrays = self._client._key_arrays(name, keys)
        wanted = None if columns is None else column_names(columns)
        with tables.forgetting(name):
            answer = await self._run(
                lambda: tables.start_read(name, arrays, wanted),
                lambda call: call.answer(len(arrays[0]), hits_only),
            )
        return arrays, answer

    async def _run(self, start: Callable[[], Call], take: Callable[[Call], T]) -> T:
        async with self._turns:
            call = start()
            for delay in self._client._tables.delays():
                try:
                    await _finish(call)
                    return take(call)
                except (BusyError, UnavailableError) as error:
                    if delay is None or not may_repeat(call, error):
                        raise
                await asyncio.sleep(delay)
                call = renewed(call, start)
        raise AssertionError("the last delay is None")


async def _finish(call: Call) -> None:
    """Takes the steps of a call whenever its socket is ready."""
    loop = asyncio.get_running_loop()
    while (wait := call.advance()) != "done":
        ready = loop.create_future()
        descriptor = call.descriptor
        timeout = loop.call_later(call.timeout_seconds, _set, ready, False)
        loop.add_reader(descriptor, _set, ready, True)
        if wait == "write":
            loop.add_writer(descriptor, _set, ready, True)
        try:
            is_ready = await ready
        finally:
            timeout.cancel()
            loop.remove_reader(descriptor)
            if wait == "write":
                loop.remove_writer(descriptor)
        if not is_ready:
            call.raise_timed_out()


def _set(ready: "asyncio.Future[bool]", value: bool) -> None:
    if not ready.done():
        ready.set_result(value)
