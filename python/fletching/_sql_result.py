"""What `sql` gives: rows that are made while they are taken."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa


class SqlResult:
    """The rows of a query, once: by one of the methods, by iterating over batches, or by whatever
    takes the Arrow stream interface. Only what is taken is made; dropping it ends the query.

    Threads: one at a time.
    """

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader

    @property
    def schema(self) -> pa.Schema:
        return self._reader.schema

    def to_arrow(self) -> pa.Table:
        """All rows that are left."""
        return self._reader.read_all()

    def to_reader(self) -> pa.RecordBatchReader:
        """The rows batch by batch, each of at most 2,048."""
        return self._reader

    def to_pandas(self) -> Any:
        """A DataFrame. Needs the package pandas."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> Any:
        """A Polars DataFrame over the same memory. Needs the package polars."""
        import polars

        return polars.from_arrow(self.to_arrow())

    def to_numpy(self) -> dict[str, np.ndarray]:
        """One array per column; integers with nulls become float64 with NaN."""
        table = self.to_arrow()
        return {name: table[name].to_numpy() for name in table.column_names}

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(self._reader)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._reader.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        columns = ", ".join(f"{field.name} {field.type}" for field in self.schema)
        return f"SqlResult({columns})"
