"""Murr's calls over a store of ours, and its exceptions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from fletching._errors import AlreadyExistsError, FletchingError, NotFoundError
from fletching._result import ReadResult
from fletching._store import Store
from fletching.compat.murr._schema import TableSchema, columns_of, schema_of


@contextmanager
def murr_errors() -> Iterator[None]:
    """Raises what Murr's client would."""
    try:
        yield
    except NotFoundError as error:
        raise FileNotFoundError(str(error)) from error
    except AlreadyExistsError as error:
        raise ValueError(str(error)) from error
    except FletchingError as error:
        raise RuntimeError(str(error)) from error


class Calls:
    """The calls, over whatever store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create_table(self, name: str, schema: TableSchema) -> None:
        """Makes an empty table. Errors: ValueError when it is there."""
        with murr_errors():
            self._store._engine.create_table(name, columns_of(schema), schema.key_columns, "", 0)

    def write(self, table_name: str, batch: pa.RecordBatch | pa.Table) -> None:
        """Stores all rows, or none; the last row of a key wins. Columns that the table does not
        have are left out."""
        with murr_errors():
            known = set(self._store.schema(table_name).names)
            wanted = [name for name in batch.schema.names if name in known]
            self._store.write(table_name, batch.select(wanted))

    def read(self, table_name: str, keys: Sequence[Any], columns: Sequence[str]) -> pa.RecordBatch:
        """One row per key in the order of the keys; nulls for keys that are not there."""
        with murr_errors():
            return self._store.read(table_name, keys, columns).to_arrow()

    def list_tables(self) -> dict[str, TableSchema]:
        """Every table's schema, by name."""
        with murr_errors():
            tables = self._store.tables()
        return {table.name: schema_of(table) for table in tables if table.damage is None}

    def get_schema(self, table_name: str) -> TableSchema:
        """A table's schema. Errors: FileNotFoundError."""
        with murr_errors():
            return schema_of(self._store.table(table_name))

    def get(self, table_name: str, keys: Sequence[Any], columns: Sequence[str]) -> "Answer":
        """As `read`, for models."""
        with murr_errors():
            return Answer(self._store.read(table_name, keys, columns))


class Answer:
    """What `Client.get` gives: columns by name."""

    def __init__(self, result: ReadResult) -> None:
        self._result = result

    def to_numpy(self) -> dict[str, Any]:
        """Arrays by column; see `fletching.ReadResult.to_numpy`."""
        return self._result.to_numpy()

    def to_torch(self) -> dict[str, Any]:
        """Tensors by column; see `fletching.ReadResult.to_torch`."""
        return self._result.to_torch()

    def to_arrow(self) -> pa.RecordBatch:
        """The values as they are."""
        return self._result.to_arrow()

    def to_pandas(self) -> Any:
        """A DataFrame."""
        return self._result.to_pandas()
