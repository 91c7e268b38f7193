"""What a read gives back."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fletching._errors import InvalidArgumentError, SchemaMismatchError
from fletching._native import Answer, write_matrix


class ReadResult:
    """Values for the keys of one read, row i for key i. A key that is not there has nulls, or no
    row at all if the read was told to drop it.

    Holds its own memory: it stays good when the table changes or the database is closed. Speaks the
    Arrow interface, so `pyarrow.record_batch(result)` and `polars.DataFrame(result)` work as well.
    """

    def __init__(self, answer: Answer, key_count: int, fill: Any = None) -> None:
        self._answer = answer
        self._key_count = key_count
        self._found: np.ndarray | None = None
        self._batch: pa.RecordBatch | None = None
        self._is_filled = fill is not None
        if fill is not None:
            self._batch = _filled(pa.record_batch(answer), fill)

    def to_arrow(self) -> pa.RecordBatch:
        """The values as they are, without a copy."""
        if self._batch is None:
            self._batch = pa.record_batch(self._answer)
        return self._batch

    def to_pandas(self) -> Any:
        """A DataFrame. Nulls become what pandas makes of them: NaN, NaT or None."""
        dtype = None if self._is_filled else self._answer.only_dtype
        if dtype is None:
            return self.to_arrow().to_pandas()
        # PyArrow takes ten times as long for what is one block of memory.
        block = np.empty((self._answer.column_count, self._answer.row_count), dtype)
        self._answer.write_matrix(block.T)
        import pandas

        labels = _column_labels(tuple(self._answer.column_names)).view()
        return pandas.DataFrame(block.T, columns=labels, copy=False)

    def to_polars(self) -> Any:
        """A Polars DataFrame over the same memory. Needs the package polars."""
        import polars

        return polars.from_arrow(self.to_arrow())

    def to_numpy(self) -> dict[str, np.ndarray]:
        """One array per column. No copy for numbers without nulls; integers with nulls become
        float64 with NaN, because NumPy has no null."""
        arrays = {} if self._is_filled else self._answer.plain_arrays()
        if len(arrays) == self._answer.column_count:
            return arrays
        batch = self.to_arrow()
        return {
            name: arrays[name] if name in arrays else column.to_numpy(zero_copy_only=False)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }

    def to_torch(self) -> dict[str, Any]:
        """One PyTorch tensor per column of numbers or bools, over the same memory where there are
        no nulls; else as `to_numpy`. Errors: SchemaMismatchError for other columns. Needs the
        package torch."""
        import torch

        tensors = {}
        batch = self.to_arrow()
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if not _is_number(column.type):
                raise SchemaMismatchError(
                    f"column '{name}' is {column.type}, which no tensor holds; name the columns "
                    "you want: columns=[...]"
                )
            if column.null_count == 0 and not pa.types.is_boolean(column.type):
                tensors[name] = torch.from_dlpack(column)
            else:
                tensors[name] = torch.from_numpy(column.to_numpy(zero_copy_only=False).copy())
        return tensors

    def to_matrix(self, dtype: Any = None) -> np.ndarray:
        """All columns as one matrix, for a model.

        Shape: [rows, columns], row-major. `read_matrix` makes the same without a detour.
        dtype: float32, float64, float16, int32 or int64; if not said, the narrowest of them but
            float16 that holds every column, a float wherever there are nulls, which become NaN.
        """
        batch = self.to_arrow()
        matrix = np.empty((batch.num_rows, batch.num_columns), dtype or _common_dtype(batch))
        write_matrix(batch, matrix)
        return matrix

    def __dlpack__(self, **options: Any) -> Any:
        """`to_matrix` for whoever takes DLPack: `torch.from_dlpack(result)`. Shape and dtype are
        those of `to_matrix`; the memory is made for this call."""
        return self.to_matrix().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # kDLCPU, the only one there is

    @property
    def found(self) -> np.ndarray:
        """Shape: [keys asked for], bool. Tells a key that is not there from values that are null;
        where missing keys were dropped, the rows are those of the keys that are True."""
        if self._found is None:
            bits = np.frombuffer(self._answer.found_bits, np.uint8)
            found = np.unpackbits(bits, count=self._key_count, bitorder="little")
            self._found = found.view(np.bool_)
        return self._found

    @property
    def found_count(self) -> int:
        """Keys that are there, of those asked for."""
        return self._answer.found_count

    @property
    def version(self) -> int:
        """Number of the newest commit that this shows."""
        return self._answer.version

    def __len__(self) -> int:
        return self._answer.row_count

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self.to_arrow().__arrow_c_array__(requested_schema)

    def __repr__(self) -> str:
        columns = ", ".join(self.to_arrow().schema.names)
        return f"ReadResult({self.found_count} of {self._key_count} keys found; {columns})"

    def _repr_html_(self) -> str:
        return self.to_pandas()._repr_html_()


def matrix_memory(out: Any, dtype: Any, row_count: int, column_count: int) -> Any:
    """What a matrix goes into: `out`, whose shape is not looked at here, or new memory."""
    if out is None:
        return np.empty((row_count, column_count), dtype or np.float32)
    # By name, as those of a tensor compare with nothing but themselves: "torch.float32".
    if dtype is not None and str(out.dtype).rpartition(".")[2] != np.dtype(dtype).name:
        raise InvalidArgumentError(f"out is of {out.dtype}, not of {np.dtype(dtype)}")
    return out


def matrix_of(answer: Answer, dtype: Any, fill: float | None, out: Any) -> Any:
    """What `read_matrix` gives for an answer that is here already."""
    matrix = matrix_memory(out, dtype, answer.row_count, answer.column_count)
    answer.write_matrix(matrix, fill)
    return matrix


@lru_cache(maxsize=64)
def _column_labels(names: tuple[str, ...]) -> Any:
    """Making them takes pandas longer than the rest of a frame."""
    import pandas

    return pandas.Index(names)


def _is_number(dtype: pa.DataType) -> bool:
    return pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_boolean(dtype)


def _common_dtype(batch: pa.RecordBatch) -> Any:
    """Of float32, float64, int32 and int64. What is no number is left to whoever fills it."""
    numbers = [column for column in batch.columns if _is_number(column.type)]
    if not numbers:
        return np.float32
    dtypes = [
        np.dtype(np.int8) if pa.types.is_boolean(c.type) else np.dtype(c.type.to_pandas_dtype())
        for c in numbers
    ]
    common = np.result_type(*dtypes)
    if any(column.null_count > 0 for column in numbers):
        common = np.result_type(common, np.float32)
    if common.kind == "f":
        return np.float32 if common.itemsize <= 4 else np.float64
    is_small = common.itemsize < 4 or common == np.int32
    return np.int32 if is_small else np.int64


def _filled(batch: pa.RecordBatch, fill: Any) -> pa.RecordBatch:
    """Nulls, of missing keys too, become `fill`: one value for every column, or one by name."""
    if isinstance(fill, Mapping):
        unknown = [name for name in fill if name not in batch.schema.names]
        if unknown:
            raise InvalidArgumentError(f"fill names column '{unknown[0]}', which was not read")
        values = {name: value for name, value in fill.items() if value is not None}
    else:
        values = dict.fromkeys(batch.schema.names, fill)
    if batch.num_columns == 0:
        return batch  # a new one would have no rows
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in values and column.null_count > 0:
            column = pc.fill_null(column, _as_scalar(values[name], name, column.type))
        columns.append(column)
    return pa.record_batch(columns, names=batch.schema.names)


def _as_scalar(value: Any, name: str, dtype: pa.DataType) -> pa.Scalar:
    try:
        return pa.scalar(value, dtype)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        raise SchemaMismatchError(
            f"column '{name}': {value!r} is no {dtype}; fill it by name: fill={{'{name}': ...}}"
        ) from None
