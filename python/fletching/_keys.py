"""From what users call keys to one Arrow array per key column, in the table's order.

Types are left to the engine, which knows what widens to what and has the words for the rest; only
the width of integers is settled here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fletching._errors import InvalidArgumentError, SchemaMismatchError
from fletching._native import TableInfo


def key_arrays(keys: Any, table: TableInfo) -> list[pa.Array]:
    """keys: for one key column, a list, NumPy array, pandas or Polars series or Arrow array; for
    several, a list of tuples. For either, a dict or table of the key columns."""
    names = table.key
    columns = _by_name(keys)
    if columns is not None:
        return _ordered(columns, names, table)
    if isinstance(keys, str | bytes):
        raise InvalidArgumentError(
            f"keys is a single {type(keys).__name__}; give a list: [{keys!r}]"
        )
    if len(names) == 1:
        return [_as_array(keys, names[0], table)]
    return _from_tuples(keys, names, table)


def _by_name(keys: Any) -> Mapping[str, Any] | None:
    if isinstance(keys, Mapping):
        return keys
    if isinstance(keys, pa.Table | pa.RecordBatch):
        return dict(zip(keys.schema.names, keys.columns, strict=True))
    if hasattr(keys, "columns") and hasattr(keys, "__getitem__"):  # pandas, Polars
        return {name: keys[name] for name in keys.columns}
    return None


def _ordered(columns: Mapping[str, Any], names: list[str], table: TableInfo) -> list[pa.Array]:
    for name in columns:
        if name not in names:
            known = ", ".join(f"'{key}'" for key in names)
            raise InvalidArgumentError(f"'{name}' is no key column; the key is {known}")
    for name in names:
        if name not in columns:
            raise InvalidArgumentError(f"keys lack the key column '{name}'")
    arrays = [_as_array(columns[name], name, table) for name in names]
    for name, array in zip(names, arrays, strict=True):
        if len(array) != len(arrays[0]):
            raise InvalidArgumentError(
                f"key columns differ in length: '{names[0]}' has {len(arrays[0])} values, "
                f"'{name}' has {len(array)}"
            )
    return arrays


def _from_tuples(keys: Any, names: list[str], table: TableInfo) -> list[pa.Array]:
    rows = list(keys)
    for row in rows:
        if not isinstance(row, Sequence) or isinstance(row, str | bytes) or len(row) != len(names):
            wanted = ", ".join(names)
            raise InvalidArgumentError(
                f"a key of this table is a tuple ({wanted}), not {row!r}; or give a dict of columns"
            )
    return [_as_array([row[at] for row in rows], name, table) for at, name in enumerate(names)]


def _as_array(values: Any, name: str, table: TableInfo) -> pa.Array:
    array = _to_arrow(values, name)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    # What PyArrow made of Python objects is sound. What came as Arrow may have been made of any
    # bytes, and behind the C interface nobody can see how long a buffer is.
    ours = isinstance(values, list | tuple | range | np.ndarray)
    try:
        array.validate(full=not ours)
    except pa.ArrowInvalid as error:
        raise InvalidArgumentError(f"column '{name}': {error}") from None
    # Elsewhere integers are 64 bits wide unless someone insists, so the width says nothing and they
    # take the column's where they fit. Arrow's types are meant.
    if not isinstance(values, pa.Array | pa.ChunkedArray) and pa.types.is_integer(array.type):
        return _narrowed(array, name, table)
    return array


def _to_arrow(values: Any, name: str) -> pa.Array | pa.ChunkedArray:
    try:
        if isinstance(values, pa.Array | pa.ChunkedArray):
            return values
        if hasattr(values, "__arrow_c_stream__"):
            return pa.chunked_array(values)
        if hasattr(values, "__array__") or hasattr(values, "__arrow_c_array__"):
            return pa.array(values)
        return pa.array(list(values))
    except OverflowError:
        return _large_integers(values, name)
    except (pa.ArrowException, TypeError, ValueError) as error:
        text = str(error.args[0]) if error.args else str(error)
        raise SchemaMismatchError(f"keys of column '{name}': {text}") from error


def _large_integers(values: Any, name: str) -> pa.Array:
    try:
        return pa.array(list(values), pa.uint64())
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise SchemaMismatchError(f"keys of column '{name}': {error}") from error


def _narrowed(array: pa.Array, name: str, table: TableInfo) -> pa.Array:
    wanted = pa.schema(table).field(name).type
    if array.type == wanted or not pa.types.is_integer(wanted):
        return array
    try:
        return array.cast(wanted)
    except pa.ArrowInvalid:
        return array  # the engine says what is wrong
