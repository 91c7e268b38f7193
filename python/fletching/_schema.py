"""From what users call a schema to the columns of a table."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa

from fletching._errors import InvalidArgumentError
from fletching._native import Column

# Types that hold the same values as one that can be stored.
_STORED_AS = {
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
    pa.date64(): pa.date32(),
}


def stored_type(dtype: pa.DataType) -> pa.DataType:
    """The type a column of `dtype` is stored as: itself, or its plain counterpart."""
    if isinstance(dtype, pa.BaseExtensionType):
        return stored_type(dtype.storage_type)
    if pa.types.is_dictionary(dtype):
        return stored_type(dtype.value_type)
    if pa.types.is_fixed_size_list(dtype):
        return pa.list_(stored_type(dtype.value_type), dtype.list_size)
    is_list = pa.types.is_list(dtype) or pa.types.is_large_list(dtype)
    if is_list or pa.types.is_list_view(dtype) or pa.types.is_large_list_view(dtype):
        return pa.list_(stored_type(dtype.value_type))
    return _STORED_AS.get(dtype, dtype)


# What helps against types that cannot be stored.
_FIXES = [
    (pa.types.is_decimal, "cast it to float64 (or to utf8, if every digit counts)"),
    (pa.types.is_duration, "cast it to seconds, a number,"),
    (pa.types.is_struct, "give each of its fields a column"),
    (pa.types.is_map, "make it two lists, of its keys and of its values,"),
    (pa.types.is_fixed_size_binary, "cast it to binary"),
]


def key_names(key: str | Sequence[str]) -> list[str]:
    names = [key] if isinstance(key, str) else key
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise InvalidArgumentError(f"key is a column name or a list of them, not {key!r}")
    return list(names)


def make_columns(schema: Any, key: Sequence[str], strict: bool) -> list[Column]:
    """schema: a pyarrow schema, anything that can hand one over, or {name: dtype}."""
    if isinstance(schema, Mapping):
        return [
            Column(name, dtype, nullable=name not in key, strict=strict)
            for name, dtype in schema.items()
        ]
    return [_make_column(field, key, strict) for field in pa.schema(schema)]


def _make_column(field: pa.Field, key: Sequence[str], strict: bool) -> Column:
    if pa.types.is_null(field.type):
        raise InvalidArgumentError(
            f"column '{field.name}' has no values that tell its type; "
            "create the table with a schema first"
        )
    dtype = stored_type(field.type)
    for is_one, fix in _FIXES:
        if is_one(dtype):
            raise InvalidArgumentError(
                f"column '{field.name}': type {dtype} cannot be stored; {fix} first"
            )
    nullable = field.nullable and field.name not in key
    return Column(field.name, dtype, nullable=nullable, strict=strict)


def ttl_milliseconds(ttl: timedelta | None) -> int:
    return 0 if ttl is None else ttl // timedelta(milliseconds=1)
