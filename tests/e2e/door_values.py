"""Values for the test of doors: every type, its awkward values, and the forms they are compared in.

A column is made from plain values: integers for everything of fixed width (a float is the integer
of its bits, so that a NaN has its payload), text, bytes, lists of those, None.
"""

import base64
import struct
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(),
            pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]  # fmt: skip
NUMBERS = {
    **{str(dtype): dtype for dtype in INTEGERS},
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
}
TIMESTAMPS = {
    **{f"timestamp[{unit}]": pa.timestamp(unit) for unit in UNITS},
    **{f"timestamp[{unit}, UTC]": pa.timestamp(unit, "UTC") for unit in UNITS},
    "timestamp[us, Europe/Berlin]": pa.timestamp("us", "Europe/Berlin"),
    "timestamp[ms, +05:45]": pa.timestamp("ms", "+05:45"),
}
KEY_TYPES = {
    "utf8": pa.string(),
    "binary": pa.binary(),
    **{str(dtype): dtype for dtype in INTEGERS},
    "date32": pa.date32(),
    **TIMESTAMPS,
}
TYPES = {
    "bool": pa.bool_(),
    **NUMBERS,
    **KEY_TYPES,
    "time32[s]": pa.time32("s"),
    "time32[ms]": pa.time32("ms"),
    "time64[us]": pa.time64("us"),
    "time64[ns]": pa.time64("ns"),
    **{f"list<{name}>": pa.list_(dtype) for name, dtype in NUMBERS.items()},
    "list<utf8>": pa.list_(pa.string()),
    **{f"fixed_size_list<{name}>[3]": pa.list_(dtype, 3) for name, dtype in NUMBERS.items()},
    "fixed_size_list<float32>[1]": pa.list_(pa.float32(), 1),
}
NAMES = {dtype: name for name, dtype in TYPES.items()}

TEXTS = [
    "", " ", "\x00", 'quote " and \\ and /', "\n\r\t\x1f\x7f", "\u00e9", "e\u0301", "\u4e2d\u6587",
    "\U0001f426", "\u2028", "\ufeff", "\uffff", "\U0010ffff", "null", "x" * 1000, "\u00e9" * 5000,
]  # fmt: skip
BLOBS = [b"", b"\x00", b"\x00\x00", b"\xff", b"\xc3\x28", b"a", b"\x80" * 1000, bytes(range(256))]
DATES = [0, -1, 1, 19_782, -719_528, -719_529, 2_932_896, 2_932_897, -(2**31), 2**31 - 1]
# 0, the smallest and largest subnormal, the smallest normal, 1, the largest, infinity, a NaN as
# made by arithmetic, one with a payload, one that signals; each with either sign below.
FLOATS = {
    16: [0, 1, 0x3FF, 0x400, 0x3C00, 0x7BFF, 0x7C00, 0x7E00, 0x7E2A, 0x7C01],
    32: [0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x7FC0002A,
         0x7F800001, 0x3DCCCCCD],
    64: [0, 1, 0xFFFFFFFFFFFFF, 1 << 52, 0x3FF << 52, 0x7FEFFFFFFFFFFFFF, 0x7FF << 52,
         0x7FF8 << 48, (0x7FF8 << 48) + 42, (0x7FF << 52) + 1, 0x3FB999999999999A],
}  # fmt: skip


def is_list(dtype: pa.DataType) -> bool:
    return pa.types.is_list(dtype) or pa.types.is_fixed_size_list(dtype)


def values_of(dtype: pa.DataType, is_key: bool = False) -> st.SearchStrategy[Any]:
    """Plain values of a type that are not null; half of them its awkward ones."""
    return st.sampled_from(awkward_values(dtype, is_key)) | _any_values(dtype, is_key)


def _any_values(dtype: pa.DataType, is_key: bool) -> st.SearchStrategy[Any]:
    if pa.types.is_boolean(dtype):
        return st.booleans()
    if pa.types.is_string(dtype):
        return st.text(max_size=20)
    if pa.types.is_binary(dtype):
        return st.binary(max_size=20)
    if pa.types.is_list(dtype):
        return st.lists(or_null(dtype.value_type), max_size=6)
    if pa.types.is_fixed_size_list(dtype):
        size = dtype.list_size
        return st.lists(or_null(dtype.value_type), min_size=size, max_size=size)
    if pa.types.is_floating(dtype):
        return st.integers(0, 2**dtype.bit_width - 1)
    return st.integers(*bounds(dtype, is_key))


def awkward_values(dtype: pa.DataType, is_key: bool = False) -> list[Any]:
    """Those that programs get wrong."""
    if pa.types.is_boolean(dtype):
        return [False, True]
    if pa.types.is_string(dtype):
        return TEXTS
    if pa.types.is_binary(dtype):
        return BLOBS
    if is_list(dtype):
        values = [*awkward_values(dtype.value_type), None]
        if pa.types.is_list(dtype):
            return [[], [None], [None, None], values, values[:1] * 300]
        size = dtype.list_size
        padded = values + [None] * (size - 1)
        return [[None] * size, *(padded[at : at + size] for at in range(len(values)))]
    if pa.types.is_floating(dtype):
        sign = 1 << (dtype.bit_width - 1)
        return [bits + side for bits in FLOATS[dtype.bit_width] for side in (0, sign)]
    low, high = bounds(dtype, is_key)
    awkward = [low, low + 1, -1, 0, 1, high - 1, high]
    if pa.types.is_date(dtype):
        awkward += DATES
    if pa.types.is_timestamp(dtype):
        units = UNITS[dtype.unit]
        awkward += [days * 86_400 * units + more for days in DATES[:8] for more in (-1, 0, 1)]
        awkward += [low + units - 1, low + units]
    return sorted({value for value in awkward if low <= value <= high})


def bounds(dtype: pa.DataType, is_key: bool) -> tuple[int, int]:
    if pa.types.is_time(dtype):
        return 0, 86_400 * UNITS[dtype.unit] - 1
    if pa.types.is_unsigned_integer(dtype):
        return 0, 2**dtype.bit_width - 1
    if is_key and pa.types.is_timestamp(dtype) and dtype.unit == "s":
        return -SECONDS_IN_PARQUET, SECONDS_IN_PARQUET  # a key cannot become null on its way
    return -(2 ** (dtype.bit_width - 1)), 2 ** (dtype.bit_width - 1) - 1


def may_become_null(dtype: pa.DataType) -> bool:
    """Whether there are values that some door cannot carry, see `carried` in doors.py."""
    return pa.types.is_floating(dtype) or dtype in (pa.timestamp("s"), pa.timestamp("s", "UTC"))


SECONDS_IN_PARQUET = (2**63 - 1) // 1000  # it has no seconds, so they become milliseconds


def or_null(dtype: pa.DataType) -> st.SearchStrategy[Any]:
    return st.none() | values_of(dtype) | values_of(dtype)


def make_array(values: list[Any], dtype: pa.DataType) -> pa.Array:
    """A column of plain values."""
    if is_list(dtype):
        is_null = pa.array([row is None for row in values], pa.bool_())
        if pa.types.is_fixed_size_list(dtype):
            rows = [[None] * dtype.list_size if row is None else row for row in values]
            flat = make_array([value for row in rows for value in row], dtype.value_type)
            return pa.FixedSizeListArray.from_arrays(flat, dtype.list_size, mask=is_null)
        ends = accumulate((len(row or []) for row in values), initial=0)
        flat = make_array([value for row in values for value in row or []], dtype.value_type)
        return pa.ListArray.from_arrays(pa.array(list(ends), pa.int32()), flat, mask=is_null)
    if pa.types.is_floating(dtype):
        return pa.array(values, getattr(pa, f"uint{dtype.bit_width}")()).view(dtype)
    if pa.types.is_temporal(dtype):
        return pa.array(values, getattr(pa, f"int{dtype.bit_width}")()).view(dtype)
    return pa.array(values, dtype)


# -- compared bit for bit -------------------------------------------------------------------------


def bits(array: pa.Array) -> list[Any]:
    """Each row as the bytes it has in the column's buffers; None where it is null."""
    array.validate(full=True)
    rows = _bits_of_all(array)
    return [
        row if valid else None
        for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)
    ]


def _bits_of_all(array: pa.Array) -> list[Any]:
    dtype, first, count = array.type, array.offset, len(array)
    if pa.types.is_fixed_size_list(dtype):
        size, values = dtype.list_size, bits(array.values)
        return [values[row * size : (row + 1) * size] for row in range(first, first + count)]
    if pa.types.is_list(dtype):
        ends, values = array.offsets.to_pylist(), bits(array.values)
        return [values[ends[row] : ends[row + 1]] for row in range(count)]
    if pa.types.is_boolean(dtype):
        return array.to_pylist()
    if pa.types.is_string(dtype) or pa.types.is_binary(dtype):
        offsets, data = array.buffers()[1:]
        if count == 0:
            return []
        ends = struct.unpack_from(f"<{count + 1}i", offsets, 4 * first)
        data = b"" if data is None else data.to_pybytes()
        return [data[start:end] for start, end in pairwise(ends)]
    width = dtype.bit_width // 8
    data = b"" if count == 0 else array.buffers()[1].to_pybytes()
    return [data[row * width : (row + 1) * width] for row in range(first, first + count)]


def without_non_finite(array: pa.Array) -> pa.Array:
    """NaN and infinities become null, inside lists as well."""
    dtype = array.type
    if pa.types.is_fixed_size_list(dtype):
        values = without_non_finite(array.values)
        return pa.FixedSizeListArray.from_arrays(values, dtype.list_size, mask=array.is_null())
    if pa.types.is_list(dtype):
        values = without_non_finite(array.values)
        return pa.ListArray.from_arrays(array.offsets, values, mask=array.is_null())
    if not pa.types.is_floating(dtype) or len(array) == 0:
        return array
    numbers = np.frombuffer(array.buffers()[1], dtype.to_pandas_dtype(), len(array))
    is_null = array.is_null().to_numpy(zero_copy_only=False)
    return pa.array(numbers, mask=is_null | ~np.isfinite(numbers))


# -- the forms of JSON, docs/protocol.md "Values in JSON" -----------------------------------------


def json_values(array: pa.Array, times_as_numbers: bool = False) -> list[Any]:
    """What the page says a column looks like in JSON, as Python parses it: floats are float."""
    dtype = array.type
    if is_list(dtype):
        lists = [pa.array([], dtype.value_type) if row is None else row for row in _rows(array)]
        shown = [json_values(row) for row in lists]
    elif pa.types.is_floating(dtype):
        return [_json_float(row, dtype.bit_width) for row in bits(array)]
    elif pa.types.is_binary(dtype):
        shown = [base64.b64encode(row or b"").decode() for row in bits(array)]
    elif pa.types.is_temporal(dtype):
        numbers = [int.from_bytes(row or b"", "little", signed=True) for row in bits(array)]
        shown = numbers if times_as_numbers else [_json_time(n, dtype) for n in numbers]
    else:
        return array.to_pylist()  # booleans, integers, text
    return [
        row if valid else None
        for row, valid in zip(shown, array.is_valid().to_pylist(), strict=True)
    ]


def _rows(array: pa.Array) -> list[pa.Array | None]:
    return [array[row].values for row in range(len(array))]


def _json_float(row: bytes | None, bit_width: int) -> float | None:
    if row is None:
        return None
    (value,) = struct.unpack({16: "<e", 32: "<f", 64: "<d"}[bit_width], row)
    return value if np.isfinite(value) else None


def _json_time(value: int, dtype: pa.DataType) -> str | int:
    if pa.types.is_date(dtype):
        is_shown = -719_528 <= value < 2_932_897
        return str(np.datetime64(value, "D")) if is_shown else value
    per_second = UNITS[dtype.unit]
    is_shown = -719_528 <= value // (86_400 * per_second) < 2_932_897
    if not is_shown or value < -(2**63) + per_second:
        return value
    text = np.datetime_as_string(np.datetime64(value, dtype.unit), unit=dtype.unit)
    if pa.types.is_time(dtype):
        return str(text).partition("T")[2]
    return f"{text}Z" if dtype.tz else str(text)


def exact(values: Any) -> Any:
    """JSON's values for comparing: floats by their bits, and never equal to integers."""
    if isinstance(values, list):
        return [exact(value) for value in values]
    if isinstance(values, float):
        return struct.pack("<d", values)
    return (type(values).__name__, values)
