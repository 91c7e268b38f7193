"""From what users call keys to one Arrow array per key column, in the table's order.

Types are left to the engine, which knows what widens to what and has the words for the rest; only
the width of integers is settled here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fletching._arrays import to_array
from fletching._errors import InvalidArgumentError, SchemaMismatchError
from fletching._native import KeyArray, TableInfo, text_array


def key_arrays(keys: Any, table: TableInfo) -> "list[pa.Array | KeyArray]":
    """keys: for one key column, a list, NumPy array, pandas or Polars series or Arrow array; for
    several, a list of tuples. For either, a dict or table of the key columns."""
    names = table.key
    if type(keys) is list and len(names) == 1:
        texts = text_array(keys)
        if texts is not None:
            return [texts]
    if isinstance(keys, str | bytes | bytearray):
        raise InvalidArgumentError(
            f"keys is a single {type(keys).__name__}; give a list: [{keys!r}]"
        )
    columns = _by_name(keys)
    if columns is not None:
        return _ordered(columns, names, table)
    if isinstance(keys, np.ndarray) and keys.ndim == 2 and keys.shape[1] == len(names) > 1:
        return _ordered({name: keys[:, at] for at, name in enumerate(names)}, names, table)
    if getattr(keys, "nlevels", 1) not in (1, len(names)):
        raise InvalidArgumentError(
            f"keys have {keys.nlevels} levels, the key of this table is {', '.join(names)}"
        )
    if len(names) == 1:
        return [_as_array(keys, names[0], table)]
    return _from_tuples(keys, names, table)


def _by_name(keys: Any) -> Mapping[str, Any] | None:
    if isinstance(keys, Mapping):
        return keys
    if isinstance(keys, np.ndarray) and keys.dtype.names is not None:
        return {name: keys[name] for name in keys.dtype.names}
    if isinstance(keys, pa.Table | pa.RecordBatch):
        _check_once(keys.schema.names)
        return dict(zip(keys.schema.names, keys.columns, strict=True))
    if type(keys).__name__ == "LazyFrame":
        raise SchemaMismatchError("keys is a LazyFrame; give what its collect() returns")
    if hasattr(keys, "columns") and hasattr(keys, "__getitem__"):  # pandas, Polars
        _check_once(list(keys.columns))
        return {name: keys[name] for name in keys.columns}
    return None


def _check_once(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgumentError(f"key column '{name}' occurs twice")


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
    if not hasattr(keys, "__iter__"):
        raise SchemaMismatchError(
            f"keys is of type {type(keys).__name__}; give a list of tuples or a dict of columns"
        )
    rows = list(keys)
    for row in rows:
        if not isinstance(row, Sequence) or isinstance(row, str | bytes) or len(row) != len(names):
            wanted = ", ".join(names)
            raise InvalidArgumentError(
                f"a key of this table is a tuple ({wanted}), not {row!r}; or give a dict of columns"
            )
    return [_as_array([row[at] for row in rows], name, table) for at, name in enumerate(names)]


def _as_array(values: Any, name: str, table: TableInfo) -> pa.Array:
    array = to_array(values, f"keys of column '{name}'")
    if len(array) == 0 and not isinstance(values, pa.Array | pa.ChunkedArray):
        return pa.array([], pa.schema(table).field(name).type)  # NumPy's has a type nobody chose
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


def _narrowed(array: pa.Array, name: str, table: TableInfo) -> pa.Array:
    wanted = pa.schema(table).field(name).type
    if array.type == wanted or not pa.types.is_integer(wanted):
        return array
    try:
        return array.cast(wanted)
    except pa.ArrowInvalid:
        return array  # the engine says what is wrong
