"""Values as Redis holds them, as Arrow arrays: text of a hash, objects of JSON or MessagePack.

Two questions for either kind: which column type would hold all of these (`guess`), and what are
they as that type (`convert`). None is an absent field and becomes null.
"""

import json
import struct
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fletching._schema import stored_type

_WHOLE = r"^(0|-?[1-9][0-9]*)$"
_NUMBER = r"^(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|nan|NaN|-?inf)$"
_BOOL = r"^(true|false|True|False)$"
_LONG_WHOLE = r"^-?[1-9][0-9]{15,}$"  # a float64 may not hold it


class BadValueError(Exception):
    """A value that its column cannot hold."""

    def __init__(self, row: int, value: Any) -> None:
        super().__init__(row, value)
        self.row = row
        self.value = value


# -- text: fields of a hash, and Redis keys ------------------------------------------------------


def guess_text(values: list[bytes | None]) -> str:
    """int64 if all are whole numbers that fit, float64 if all are numbers, bool if all are true or
    false, else utf8, or binary where they are no text. Empty values say nothing. Leading zeros
    mean text, and so do whole numbers that a float would round."""
    said = pa.array([value for value in values if value], pa.binary())
    try:
        text = said.cast(pa.string())
    except pa.ArrowInvalid:
        return "binary"
    if len(text) == 0:
        return "utf8"
    if _all(text, _WHOLE):
        try:
            text.cast(pa.int64())
        except pa.ArrowInvalid:
            return "utf8"
        return "int64"
    if _all(text, _BOOL):
        return "bool"
    is_long = pc.any(pc.match_substring_regex(text, _LONG_WHOLE)).as_py()
    return "float64" if _all(text, _NUMBER) and not is_long else "utf8"


def _all(text: pa.Array, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(text, pattern)).as_py()


def convert_text(values: list[bytes | None], dtype: pa.DataType) -> pa.Array:
    """Empty values are null, except in columns of text or bytes. Lists are JSON, or, where their
    length is fixed, packed little-endian numbers. Times are ISO 8601, or counts of their unit
    since 1970.

    Errors: BadValueError.
    """
    return _convert(values, dtype, _text_array)


def _text_array(values: list[bytes | None], dtype: pa.DataType) -> pa.Array:
    if pa.types.is_binary(dtype):
        return pa.array(values, dtype)
    if pa.types.is_string(dtype):
        return pa.array(values, pa.binary()).cast(dtype)
    if pa.types.is_list(dtype) or pa.types.is_fixed_size_list(dtype):
        return pa.array([_list_value(value, dtype) for value in values], dtype)
    text = pa.array([value or None for value in values], pa.binary()).cast(pa.string())
    if pa.types.is_float16(dtype):  # Arrow reads no text as float16
        text = text.cast(pa.float32())
    if pa.types.is_timestamp(dtype) and _all(text, _WHOLE):
        text = text.cast(pa.int64())
    return text.cast(dtype)


def _list_value(value: bytes | None, dtype: pa.DataType) -> Any:
    if not value:
        return None
    try:
        parsed = json.loads(value)
        if isinstance(parsed, list):
            return parsed
    except ValueError:  # not JSON, and not text either
        pass
    if pa.types.is_fixed_size_list(dtype) and not pa.types.is_string(dtype.value_type):
        count, inner = dtype.list_size, dtype.value_type
        if len(value) == count * inner.bit_width // 8:
            return pa.Array.from_buffers(inner, count, [None, pa.py_buffer(value)]).to_pylist()
    raise ValueError("neither JSON nor packed numbers")


# -- objects: what JSON, MessagePack and protobuf give --------------------------------------------


def guess_object(values: list[Any]) -> str:
    """What PyArrow makes of them, where a column can hold that; else utf8 with each value as JSON
    text."""
    try:
        found = stored_type(pa.array(values).type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return "utf8"
    if pa.types.is_timestamp(found):
        return f"timestamp[{found.unit}, {found.tz}]" if found.tz else f"timestamp[{found.unit}]"
    names = {
        pa.int64(): "int64",
        pa.float64(): "float64",
        pa.bool_(): "bool",
        pa.binary(): "binary",
        pa.list_(pa.int64()): "list<int64>",
        pa.list_(pa.float64()): "list<float64>",
        pa.list_(pa.string()): "list<utf8>",
    }
    return names.get(found, "utf8")


def convert_object(values: list[Any], dtype: pa.DataType) -> pa.Array:
    """Text columns take any value, as JSON where it is no text. Times are ISO 8601, or counts of
    their unit since 1970. Numbers must fit; only float32 and float16 round.

    Errors: BadValueError.
    """
    return _convert(values, dtype, _object_array)


def _object_array(values: list[Any], dtype: pa.DataType) -> pa.Array:
    if pa.types.is_string(dtype):
        return pa.array([_as_text(value) for value in values], dtype)
    if pa.types.is_temporal(dtype) and any(isinstance(value, str) for value in values):
        return pa.array(values, pa.string()).cast(dtype)
    if pa.types.is_list(dtype) or pa.types.is_fixed_size_list(dtype):
        inner = dtype.value_type
        values = [v and [_number(item, inner) for item in v] for v in values]
    else:
        values = [_number(value, dtype) for value in values]
    return pa.array(values, dtype)


def _number(value: Any, dtype: pa.DataType) -> Any:
    """PyArrow alone would cut 2.5 to 2, and take True for 1.0."""
    if pa.types.is_integer(dtype) and isinstance(value, float):
        if not value.is_integer():
            raise ValueError("has a fraction")
        return int(value)
    if pa.types.is_floating(dtype) and isinstance(value, int):
        if isinstance(value, bool) or (pa.types.is_float64(dtype) and int(float(value)) != value):
            raise ValueError("would change")
        return float(value)
    return value


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    return json.dumps(value, ensure_ascii=False)


# -- which one it was ---------------------------------------------------------------------------

_REFUSALS = (pa.ArrowException, TypeError, ValueError, OverflowError, struct.error)


def _convert(values: list[Any], dtype: pa.DataType, make: Any) -> pa.Array:
    """All at once; one by one only to say which of them cannot be."""
    try:
        return make(values, dtype)
    except _REFUSALS:
        for row, value in enumerate(values):
            try:
                make([value], dtype)
            except _REFUSALS:
                raise BadValueError(row, value) from None
        raise
