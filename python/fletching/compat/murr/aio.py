"""`murr.aio` over Fletching."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from fletching._async_client import AsyncClient
from fletching.compat.murr import sync
from fletching.compat.murr._calls import Answer, Calls, murr_errors
from fletching.compat.murr._schema import TableSchema


class AsyncCalls:
    """Murr's calls, awaited; those of `Calls`, on a thread."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def create_table(self, name: str, schema: TableSchema) -> None:
        """Makes an empty table. Errors: ValueError when it is there."""
        await asyncio.to_thread(self._calls.create_table, name, schema)

    async def write(self, table_name: str, batch: pa.RecordBatch | pa.Table) -> None:
        """Stores all rows, or none; the last row of a key wins."""
        await asyncio.to_thread(self._calls.write, table_name, batch)

    async def read(
        self, table_name: str, keys: Sequence[Any], columns: Sequence[str]
    ) -> pa.RecordBatch:
        """One row per key in the order of the keys; nulls for keys that are not there."""
        return await asyncio.to_thread(self._calls.read, table_name, keys, columns)

    async def get(self, table_name: str, keys: Sequence[Any], columns: Sequence[str]) -> Answer:
        """As `read`, for models."""
        return await asyncio.to_thread(self._calls.get, table_name, keys, columns)

    async def list_tables(self) -> dict[str, TableSchema]:
        """Every table's schema, by name."""
        return await asyncio.to_thread(self._calls.list_tables)

    async def get_schema(self, table_name: str) -> TableSchema:
        """A table's schema. Errors: FileNotFoundError."""
        return await asyncio.to_thread(self._calls.get_schema, table_name)


class MurrLocalAsync(AsyncCalls):
    """Tables in this process; made by `Murr.start_local`."""

    def __init__(self, local: sync.MurrLocalSync) -> None:
        super().__init__(local)
        self._local = local

    async def close(self) -> None:
        """Closes it, and ends its server if it has one."""
        await asyncio.to_thread(self._local.close)

    async def __aenter__(self) -> "MurrLocalAsync":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class MurrClientAsync(AsyncCalls):
    """Tables of a server. Reads run in the event loop, without a thread."""

    def __init__(self, endpoint: str) -> None:
        self._client = AsyncClient(endpoint)
        super().__init__(Calls(self._client._client))

    async def read(
        self, table_name: str, keys: Sequence[Any], columns: Sequence[str]
    ) -> pa.RecordBatch:
        """One row per key in the order of the keys; nulls for keys that are not there."""
        with murr_errors():
            return (await self._client.read(table_name, keys, columns)).to_arrow()

    async def get(self, table_name: str, keys: Sequence[Any], columns: Sequence[str]) -> Answer:
        """As `read`, for models."""
        with murr_errors():
            return Answer(await self._client.read(table_name, keys, columns))

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def __aenter__(self) -> "MurrClientAsync":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class Murr:
    """Where users begin."""

    @classmethod
    async def start_local(
        cls, cache_dir: str | os.PathLike[str], http_port: int | None = None
    ) -> MurrLocalAsync:
        """As `fletching.compat.murr.sync.Murr.start_local`."""
        return MurrLocalAsync(await asyncio.to_thread(sync.Murr.start_local, cache_dir, http_port))

    @classmethod
    async def connect(cls, endpoint: str) -> MurrClientAsync:
        """Tables of a server: "http://127.0.0.1:8080"."""
        return MurrClientAsync(endpoint)
