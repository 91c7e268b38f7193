"""From what users call a table to a stream that the engine pulls.

The Arrow C interface does not say how long a buffer is, so what PyArrow holds is checked here,
where that is still known; the engine checks all the rest.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from fletching._errors import (
    FletchingError,
    InvalidArgumentError,
    SchemaMismatchError,
)


class Source:
    """Rows of a write. May be taken once."""

    def __init__(self, stream: Any, schema: pa.Schema) -> None:
        self.schema = schema
        self.failure: BaseException | None = None  # what ended the stream early
        self._stream = stream

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._stream.__arrow_c_stream__(requested_schema)


def as_source(frame: Any) -> Source:
    """frame: pandas or Polars, a table, batch or reader of PyArrow, a dict of columns, or anything
    else with `__arrow_c_stream__` or `__arrow_c_array__`."""
    if isinstance(frame, pa.RecordBatchReader):
        return _checked_reader(frame)
    return _source_of(_as_arrow(frame))


def _as_arrow(frame: Any) -> Any:
    if isinstance(frame, pa.Table | pa.RecordBatch):
        return frame
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(frame, pandas.DataFrame):
        return _from_pandas(frame)
    if isinstance(frame, Mapping):
        return _from_columns(frame)
    if isinstance(frame, list) and frame and all(isinstance(b, pa.RecordBatch) for b in frame):
        return pa.Table.from_batches(frame)
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(frame)
    if hasattr(frame, "__arrow_c_array__"):
        return pa.record_batch(frame)
    raise SchemaMismatchError(
        f"cannot write a {type(frame).__name__}; give a pandas or Polars DataFrame, a PyArrow "
        "table, batch or reader, a dict of columns, or another object with __arrow_c_stream__"
    )


def _source_of(data: Any) -> Source:
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        check_sizes(data)
    return Source(data, data.schema)


def check_sizes(data: pa.Table | pa.RecordBatch) -> None:
    """Holds lengths and ends of offsets against the buffers behind them; a few numbers a column."""
    for name, column in zip(data.schema.names, data.columns, strict=True):
        try:
            for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
                chunk.validate()
        except pa.ArrowInvalid as error:
            raise InvalidArgumentError(f"column '{name}': {error}") from None


def _checked_reader(reader: pa.RecordBatchReader) -> Source:
    """A reader's errors cross the C interface as text alone, so they are kept here as they are."""

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in reader:
                check_sizes(batch)
                yield batch
        except BaseException as error:
            source.failure = error
            raise

    source = Source(pa.RecordBatchReader.from_batches(reader.schema, batches()), reader.schema)
    return source


def _from_pandas(frame: Any) -> pa.Table:
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise SchemaMismatchError(f"column '{twice}' occurs twice in the batch")
    named = [name for name in frame.index.names if name is not None]
    if named:  # an index with a name is a column; one without is row numbers
        frame = frame.reset_index(level=named)
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        columns = {name: frame[name] for name in frame.columns}
        raise _name_column(columns, error) from error


def _from_columns(columns: Mapping[str, Any]) -> pa.Table:
    try:
        return pa.table(dict(columns))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise _name_column(columns, error) from error


def _name_column(columns: Mapping[str, Any], error: Exception) -> FletchingError:
    """PyArrow does not always say which column it could not convert."""
    for name, values in columns.items():
        try:
            pa.array(values, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError) as cause:
            text = str(cause.args[0]) if cause.args else str(cause)
            return SchemaMismatchError(
                f"column '{name}': {text}; give the column one type first, for example "
                f"frame['{name}'].astype('string')"
            )
    return SchemaMismatchError(str(error))
