"""From what users call a table to a stream that the engine pulls.

The Arrow C interface does not say how long a buffer is, so what PyArrow holds is checked here,
where that is still known; the engine checks all the rest.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from fletching._arrays import from_tensor, to_array
from fletching._errors import (
    FletchingError,
    InvalidArgumentError,
    SchemaMismatchError,
)
from fletching._load import find_files, open_files

# Rows of a frame that are made Arrow at a time.
_SLICE_ROWS = 256 * 1024


class Source:
    """Rows of a write. May be taken once."""

    def __init__(self, stream: Any, schema: pa.Schema) -> None:
        self.schema = schema
        self.failure: BaseException | None = None  # what ended the stream early
        self.is_repeatable = isinstance(
            stream, pa.Table | _FrameSlices
        )  # may be taken again after all
        self._stream = stream

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._stream.__arrow_c_stream__(requested_schema)


def as_source(frame: Any) -> Source:
    """frame: pandas or Polars, a table, batch or reader of PyArrow, a dict of columns, a path, or
    anything else with `__arrow_c_stream__` or `__arrow_c_array__`."""
    if isinstance(frame, str | os.PathLike):
        frame, _ = open_files(find_files(frame))
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
    if isinstance(frame, np.ndarray) and frame.dtype.names is not None:
        return _from_columns({name: frame[name] for name in frame.dtype.names})
    try:
        if isinstance(frame, list) and frame and all(isinstance(b, pa.RecordBatch) for b in frame):
            return pa.Table.from_batches(frame)
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(frame)
        if hasattr(frame, "__arrow_c_array__"):
            return pa.record_batch(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise _unreadable(frame, error) from error
    raise SchemaMismatchError(_not_a_frame(frame))


def _not_a_frame(frame: Any) -> str:
    kind = type(frame).__name__
    if kind == "LazyFrame":
        return "cannot write a LazyFrame; give what its collect() returns"
    return (
        f"cannot write a {kind}; give a pandas or Polars DataFrame, a PyArrow table, batch or "
        "reader, a dict of columns, or another object with __arrow_c_stream__"
    )


def _unreadable(frame: Any, error: Exception) -> FletchingError:
    """PyArrow does not say which column has a type it lacks."""
    if hasattr(frame, "columns") and hasattr(frame, "__getitem__"):
        for name in frame.columns:
            to_array(frame[name], f"column '{name}'")
    text = str(error.args[0]) if error.args else str(error)
    return SchemaMismatchError(f"{_not_a_frame(frame)}; {text}")


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


def _from_pandas(frame: Any) -> "pa.Table | _FrameSlices":
    frame = _with_index(frame)
    if any(type(dtype).__name__ in ("SparseDtype", "PeriodDtype") for dtype in frame.dtypes):
        return _from_columns({name: frame[name] for name in frame.columns})
    if len(frame) > 2 * _SLICE_ROWS and all(_is_settled(dtype) for dtype in frame.dtypes):
        return _FrameSlices(frame)
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        # One by one: some can be helped, and the error of the others names the column.
        return _from_columns({name: frame[name] for name in frame.columns})


def _is_settled(dtype: Any) -> bool:
    """Whether any slice of such a column has the same type in Arrow: not what is inferred from its
    values, and no dictionaries, which each slice would bring along."""
    if isinstance(dtype, np.dtype):
        return dtype.kind in "biuf" and dtype.isnative and dtype.itemsize <= 8
    return type(dtype).__name__ == "StringDtype"


class _FrameSlices:
    """A long frame: one slice is made Arrow while another is stored. May be taken again."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.schema = self._slice(0, 0).schema.remove_metadata()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        reader = pa.RecordBatchReader.from_batches(self.schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with ThreadPoolExecutor(1) as ahead:
            starts = range(0, len(self._frame), _SLICE_ROWS)
            coming = None
            for start in starts:
                ready = coming or ahead.submit(self._slice, start, start + _SLICE_ROWS)
                following = start + _SLICE_ROWS
                coming = ahead.submit(self._slice, following, following + _SLICE_ROWS)
                yield from ready.result().to_batches()

    def _slice(self, start: int, end: int) -> pa.Table:
        rows = self._frame.iloc[start:end]
        # One thread: the other core is storing the slice before.
        table = pa.Table.from_pandas(rows, preserve_index=False, nthreads=1)
        return table.replace_schema_metadata(None)


def _with_index(frame: Any) -> Any:
    """An index with a name is a column; one without is row numbers. Checks all names."""
    if frame.columns.nlevels > 1:
        raise SchemaMismatchError(
            f"the columns have {frame.columns.nlevels} levels of names; join them first: "
            "frame.columns = ['_'.join(map(str, names)) for names in frame.columns]"
        )
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise SchemaMismatchError(f"column '{twice}' occurs twice in the batch")
    for name in frame.columns:
        _check_name(name)
    named = [name for name in frame.index.names if name is not None]
    for name in named:
        if name in frame.columns or named.count(name) > 1:
            raise SchemaMismatchError(
                f"index '{name}' has the name of another column; rename one of them, or drop the "
                "index: frame.reset_index(drop=True)"
            )
    return frame.reset_index(level=named) if named else frame


def _check_name(name: Any) -> None:
    if name is None or name != name:  # pandas turns None into NaN
        raise InvalidArgumentError(f"a column has the name {name}; rename it to text")


def _from_columns(columns: Mapping[Any, Any]) -> pa.Table:
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        _check_name(name)
        if str(name) in arrays:
            raise SchemaMismatchError(f"column '{name}' occurs twice in the batch")
        arrays[str(name)] = _column(name, values)
    first = next(iter(arrays), "")
    for name, array in arrays.items():
        if len(array) != len(arrays[first]):
            raise SchemaMismatchError(
                f"columns differ in length: '{first}' has {len(arrays[first])} values, "
                f"'{name}' has {len(array)}"
            )
    return pa.table(arrays)


def _column(name: Any, values: Any) -> Any:
    values = from_tensor(values, f"column '{name}'")
    is_embedding = (
        isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind in "iuf"
    )
    if is_embedding and values.shape[1] > 0:  # a row of numbers per row
        flat = to_array(values.reshape(-1), f"column '{name}'")
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    fix = "give all its values one type first"
    if hasattr(values, "astype"):
        fix = f"give the column one type first, for example frame[{name!r}].astype('string')"
    return to_array(values, f"column '{name}'", fix)
