"""How rows lie in Redis: one hash each or one string each; `_redis_feast.py` has a third way.

A layout asks for the rows of some keys, takes the replies apart into columns of plain values, says
which types those could have and makes arrays of them. It knows nothing of scanning and writing.
"""

import io
import json
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fletching._errors import InvalidArgumentError, SchemaMismatchError, UnavailableError
from fletching._redis_values import (
    BadValueError,
    convert_object,
    convert_text,
    guess_object,
    guess_text,
)
from fletching._schema import stored_type

FORMATS = ("json", "msgpack", "arrow", "float32")


class Rows(NamedTuple):
    """Rows of some Redis keys, without those that were gone by then."""

    keys: list[bytes]
    columns: dict[str, Any]  # plain values, one per key and None where absent, or an Arrow array


class Layout:
    """A layout of one row per key; its own key column is the Redis key without prefix and suffix.

    fields: those wanted, in this order; None for all that are there.
    """

    event_time: str | None = None
    command = "GET"

    def __init__(self, key: str, prefix: bytes, suffix: bytes, fields: list[str] | None) -> None:
        self.key = [key]
        self.fields = fields
        self._prefix = prefix
        self._suffix = suffix

    def owns(self, key: bytes) -> bool:
        """Whether this key of Redis is one of ours at all."""
        return True

    def shown(self, key: bytes) -> str:
        """For messages."""
        return shown(key)

    def ask(self, pipe: Any, key: bytes) -> None:
        pipe.execute_command(self.command, key)

    def take(self, keys: list[bytes], replies: list[Any]) -> Rows:
        """Errors: SchemaMismatchError, naming the key, if what it holds is no row."""
        self.check_replies(keys, replies)
        pairs = zip(keys, replies, strict=True)
        there = [(k, reply) for k, reply in pairs if reply or reply == b""]
        kept = [key for key, _ in there]
        columns = self._take(kept, [reply for _, reply in there])
        if self.key[0] in columns:
            raise SchemaMismatchError(
                f"the rows have a field '{self.key[0]}', as the key column is called; name the "
                "key column otherwise"
            )
        return Rows(kept, {self.key[0]: [self._rest(key) for key in kept], **columns})

    def _take(self, keys: list[bytes], replies: list[Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _rest(self, key: bytes) -> bytes:
        if not key.startswith(self._prefix):
            raise SchemaMismatchError(
                f"key {self.shown(key)} does not begin with {shown(self._prefix)}; match only "
                "those that do"
            )
        return key[len(self._prefix) : len(key) - len(self._suffix)]

    def guess(self, rows: Rows) -> dict[str, Any]:
        """Column types, the key's first."""
        return {
            name: self._guess(values, is_key=name in self.key)
            for name, values in rows.columns.items()
        }

    def _guess(self, values: Any, is_key: bool) -> str:
        guessed = guess_text(values)
        return "utf8" if is_key and guessed in ("float64", "bool") else guessed

    def batch(self, rows: Rows, schema: pa.Schema) -> pa.RecordBatch:
        """The rows with the columns of `schema`; those that they have not are null.

        Errors: SchemaMismatchError, naming key and field, for a value that is not of its type.
        """
        arrays = [self._array(rows, field) for field in schema]
        return pa.record_batch(arrays, schema=schema)

    def _array(self, rows: Rows, field: pa.Field) -> pa.Array:
        values = rows.columns.get(field.name)
        if values is None:
            return pa.nulls(len(rows.keys), field.type)
        try:
            if field.name in self.key:
                return self._key_array(values, field.type)
            return self._convert(values, field.type)
        except BadValueError as error:
            raise SchemaMismatchError(
                f"key {self.shown(rows.keys[error.row])}, field '{field.name}': "
                f"{shown(error.value)} is no {field.type}; name another type in the schema"
            ) from None

    def _key_array(self, values: list[bytes], dtype: pa.DataType) -> pa.Array:
        """Two keys of Redis must not become one: '7' and '07' as numbers would."""
        array = convert_text(values, dtype)
        if pa.types.is_integer(dtype):
            for row, (value, text) in enumerate(
                zip(values, array.cast(pa.string()).to_pylist(), strict=True)
            ):
                if text is None or text.encode() != value:
                    raise BadValueError(row, value)
        return array

    def _convert(self, values: Any, dtype: pa.DataType) -> pa.Array:
        return convert_text(values, dtype)

    def check_replies(self, keys: list[bytes], replies: list[Any]) -> None:
        for key, reply in zip(keys, replies, strict=True):
            if isinstance(reply, Exception):
                if "WRONGTYPE" not in str(reply):
                    raise UnavailableError(f"Redis, key {self.shown(key)}: {reply}") from None
                wanted = "string" if self.command == "GET" else "hash"
                raise SchemaMismatchError(
                    f"key {self.shown(key)} holds no {wanted}; match only keys that do, or take "
                    "another layout"
                )


class HashLayout(Layout):
    """One hash per row; its fields are columns."""

    command = "HGETALL"

    def _take(self, keys: list[bytes], replies: list[Any]) -> dict[str, Any]:
        rows = [_pairs(reply) for reply in replies]
        return _by_name(keys, rows, self.fields)


class ObjectLayout(Layout):
    """One string per row: a JSON object or a MessagePack map."""

    def __init__(self, coding: str, *rest: Any) -> None:
        super().__init__(*rest)
        self._coding = coding
        self._parse = json.loads if coding == "json" else _msgpack_reader()

    def _take(self, keys: list[bytes], replies: list[Any]) -> dict[str, Any]:
        rows = []
        for key, reply in zip(keys, replies, strict=True):
            try:
                row = self._parse(reply)
            except Exception as error:  # each library has its own
                raise SchemaMismatchError(
                    f"key {self.shown(key)}: no {self._coding}: {error}"
                ) from None
            if not isinstance(row, dict):
                raise SchemaMismatchError(
                    f"key {self.shown(key)}: {shown(reply)} is no object with named fields"
                )
            rows.append(row)
        return _by_name(keys, rows, self.fields)

    def _guess(self, values: Any, is_key: bool) -> str:
        return super()._guess(values, True) if is_key else guess_object(values)

    def _convert(self, values: Any, dtype: pa.DataType) -> pa.Array:
        return convert_object(values, dtype)


class ArrowLayout(Layout):
    """One string per row: an Arrow IPC stream or file of one row."""

    def _take(self, keys: list[bytes], replies: list[Any]) -> dict[str, Any]:
        rows = [self._read(key, reply) for key, reply in zip(keys, replies, strict=True)]
        if not rows:
            return {}
        try:
            table = pa.concat_tables(rows, promote_options="default")
        except pa.ArrowException:
            raise _odd_one(keys, rows) from None
        names = table.schema.names if self.fields is None else self.fields
        return {name: _plain_array(table[name]) for name in names if name in table.schema.names}

    def _read(self, key: bytes, reply: bytes) -> pa.Table:
        try:
            is_file = reply.startswith(b"ARROW1")
            source = io.BytesIO(reply)
            reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
            row = reader.read_all()
            row.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            raise SchemaMismatchError(f"key {self.shown(key)}: no Arrow stream: {error}") from None
        if row.num_rows != 1:
            raise SchemaMismatchError(
                f"key {self.shown(key)}: {row.num_rows} rows; there must be one"
            )
        return row

    def _guess(self, values: Any, is_key: bool) -> Any:
        return super()._guess(values, True) if is_key else values.type

    def _convert(self, values: pa.Array, dtype: pa.DataType) -> pa.Array:
        try:
            return values.cast(dtype)
        except pa.ArrowException:
            return convert_object(values.to_pylist(), dtype)


class FloatLayout(Layout):
    """One string per row: float32 numbers, little-endian, nothing else. With one field that is a
    vector, with several each is a number."""

    def _take(self, keys: list[bytes], replies: list[Any]) -> dict[str, Any]:
        if not replies:
            return {}
        fields = self.fields or ["values"]
        size = 4 * len(fields) if len(fields) > 1 else len(replies[0])
        for key, reply in zip(keys, replies, strict=True):
            if len(reply) != size or size % 4:
                raise SchemaMismatchError(
                    f"key {self.shown(key)}: {len(reply)} bytes, where {size // 4} numbers of 4 "
                    "are expected"
                )
        numbers = np.frombuffer(b"".join(replies), "<f4").reshape(len(replies), -1)
        if len(fields) == 1 and size > 4:
            flat = pa.array(numbers.ravel())
            return {fields[0]: pa.FixedSizeListArray.from_arrays(flat, size // 4)}
        return {name: pa.array(numbers[:, at]) for at, name in enumerate(fields)}

    def _guess(self, values: Any, is_key: bool) -> Any:
        return super()._guess(values, True) if is_key else values.type

    def _convert(self, values: pa.Array, dtype: pa.DataType) -> pa.Array:
        try:
            return values.cast(dtype)
        except pa.ArrowException as error:
            raise SchemaMismatchError(f"float32 numbers cannot be {dtype}: {error}") from None


def has_value(value: Any) -> bool:
    """Of one of the values of `Rows.columns`."""
    if isinstance(value, pa.Scalar):
        return value.is_valid
    return value is not None and value != ("null", None)  # Feast's null


def shown(value: Any) -> str:
    """For messages: short, and text where it is text."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _pairs(reply: Any) -> dict[str, Any]:
    """HGETALL's reply, which some clients hand over as a flat list."""
    items = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {name.decode("utf-8", "backslashreplace"): value for name, value in items}


def _by_name(
    keys: list[bytes], rows: list[dict[str, Any]], fields: list[str] | None
) -> dict[str, Any]:
    """Shape: a list of len(rows) for each field that any of them has."""
    names = fields
    if names is None:
        names = list(dict.fromkeys(name for row in rows for name in row))
    for key, row in zip(keys, rows, strict=True):
        if not all(isinstance(name, str) for name in row):
            raise SchemaMismatchError(f"key {shown(key)}: a field whose name is no text")
    return {name: [row.get(name) for row in rows] for name in names}


def _odd_one(keys: list[bytes], rows: list[pa.Table]) -> SchemaMismatchError:
    """Names the first row with a field of another type than that of the rows before."""
    types: dict[str, pa.DataType] = {}
    for key, row in zip(keys, rows, strict=True):
        for field in row.schema:
            others = types.setdefault(field.name, field.type)
            if field.type != others and not pa.types.is_null(field.type):
                return SchemaMismatchError(
                    f"key {shown(key)}, field '{field.name}' is {field.type}, where others have "
                    f"{others}"
                )
    return SchemaMismatchError("the rows have fields of different types")


def _plain_array(column: pa.ChunkedArray) -> pa.Array:
    """Dictionaries and views as what they stand for."""
    array = column.combine_chunks()
    return array.cast(stored_type(array.type))


def _msgpack_reader() -> Any:
    try:
        import msgpack
    except ImportError:
        raise InvalidArgumentError(
            "format 'msgpack' needs the package msgpack: pip install 'fletching[redis]'"
        ) from None
    return lambda data: msgpack.unpackb(data, raw=False, timestamp=3)
