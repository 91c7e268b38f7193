"""From what users call a column of values to an Arrow array, or to an error that names the column,
what is wrong with it and what helps. Columns of a frame and columns of keys come through here.
"""

import reprlib
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from fletching._errors import InvalidArgumentError, SchemaMismatchError

_FAILURES = (pa.ArrowException, TypeError, ValueError, OverflowError)

# What helps against NumPy's types that Arrow lacks, by their kind.
_FIXES = {
    "c": "give its real and its imaginary part a column each",
    "V": "give each of its fields a column of its own",
    "f": "round it first: .astype('float64')",  # longdouble; the others are stored
}

# Arrow's unit for those of NumPy that it lacks; each holds all of their instants.
_UNITS = {"Y": "D", "M": "D", "W": "D", "h": "s", "m": "s"}


def from_tensor(values: Any, what: str) -> Any:
    """A tensor of PyTorch, JAX, ... as a NumPy array over its memory; anything else as it is."""
    is_tensor = hasattr(values, "__dlpack__") and hasattr(values, "__array__")
    if not is_tensor or isinstance(values, np.ndarray) or hasattr(values, "__arrow_c_array__"):
        return values
    try:
        return np.asarray(values)
    except (TypeError, RuntimeError, ValueError, BufferError) as error:  # on a GPU, with a gradient
        raise SchemaMismatchError(f"{what}: {error}") from error


def to_array(values: Any, what: str, fix: str | None = None) -> pa.Array | pa.ChunkedArray:
    """values: a list or another iterable, a NumPy array, a pandas or Polars series, an Arrow array.

    what: how errors call it, as "column 'score'".
    fix: what errors advise when values are of several types.
    """
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    values = from_tensor(values, what)
    _check_form(values, what)
    plain = _plain(values, what)
    try:
        array = _converted(plain)
    except OverflowError:
        return _unsigned(values, what)
    except _FAILURES as error:
        return _retried(values, what, fix, error)
    if isinstance(values, list | tuple):
        _check_zones(values, array, what)
    return array


def _converted(values: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, pa.Array):
        return values
    if hasattr(values, "__arrow_c_stream__"):
        return pa.chunked_array(values)
    if hasattr(values, "__array__") or hasattr(values, "__arrow_c_array__"):
        return pa.array(values)
    return pa.array(values if isinstance(values, list) else list(values))


def _check_form(values: Any, what: str) -> None:
    is_many = hasattr(values, "__iter__") or hasattr(values, "__arrow_c_array__")
    if not is_many or isinstance(values, str | bytes | bytearray):
        is_value = isinstance(values, str | bytes | int | float)
        raise SchemaMismatchError(
            f"{what}: a single {type(values).__name__} where a list of values is meant"
            + (f"; give [{reprlib.repr(values)}]" if is_value else "")
        )
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise SchemaMismatchError(
            f"{what}: an array of {values.ndim} dimensions where one is meant; reshape it first"
        )


def _plain(values: Any, what: str) -> Any:
    """The same values in a form that PyArrow takes: native bytes, a unit it has, not sparse."""
    dtype = getattr(values, "dtype", None)
    kind = type(dtype).__name__
    if kind == "PeriodDtype":  # PyArrow would make them numbers without a unit
        raise SchemaMismatchError(
            f"{what}: periods cannot be stored; give their starts: .dt.to_timestamp()"
        )
    if kind == "SparseDtype":
        return pa.array(np.asarray(values), from_pandas=True)
    if not isinstance(dtype, np.dtype):
        return values
    if dtype.kind in "cV" or dtype.char == "g":
        raise SchemaMismatchError(f"{what}: {dtype} cannot be stored; {_FIXES[dtype.kind]}")
    unit = _UNITS.get(np.datetime_data(dtype)[0]) if dtype.kind == "M" else None
    if dtype.isnative and unit is None:
        return values
    wanted = np.dtype(f"datetime64[{unit}]") if unit else dtype.newbyteorder("=")
    from_pandas = not isinstance(values, np.ndarray)
    return pa.array(np.asarray(values).astype(wanted), from_pandas=from_pandas)


def _unsigned(values: Any, what: str) -> pa.Array:
    try:
        return pa.array(list(values), pa.uint64())
    except _FAILURES as error:
        raise SchemaMismatchError(
            f"{what}: its integers fit neither int64 nor uint64; give each as text, or cast them"
        ) from error


def _retried(
    values: Any, what: str, fix: str | None, error: Exception
) -> pa.Array | pa.ChunkedArray:
    """A list may hold what pandas calls missing: NaT, NA."""
    if "pandas" in sys.modules and isinstance(values, list | tuple):
        try:
            return pa.array(values, from_pandas=True)
        except _FAILURES:
            pass  # the first error says it better
    is_bare = isinstance(error, UnicodeError) or not error.args  # args of those are no sentence
    text = str(error if is_bare else error.args[0])
    if "format string" in text:  # the C interface knows no such type
        text, fix = f"its type {values.dtype} cannot be stored", "cast it first"
    raise SchemaMismatchError(f"{what}: {text}" + (f"; {fix}" if fix else "")) from error


def _check_zones(values: Sequence[Any], array: pa.Array, what: str) -> None:
    """PyArrow guesses UTC for those without, or drops the zones, as the first one happens to be."""
    if not pa.types.is_timestamp(array.type):
        return
    if len({value.tzinfo is None for value in values if isinstance(value, datetime)}) > 1:
        raise InvalidArgumentError(
            f"{what}: some times have a zone and some have none; attach the one that is meant"
        )
