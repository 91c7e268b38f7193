"""What Feast's Redis store keeps, as bytes: entity keys, names of hash fields, values.

One Redis hash per entity and project holds the features of all views with that entity:

    key      entity key (serialisation version 3), then the name of the project
    fields   MurmurHash3 of "view:feature", 4 bytes little-endian  ->  a protobuf Value
             "_ts:view"                                            ->  a protobuf Timestamp

Names of features cannot be had back from their hashes, so whoever reads has to know them.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

# Feast's ValueType of what may be a key, as column types.
_KEY_TYPES = {1: "binary", 2: "utf8", 3: "int32", 4: "int64", 8: "timestamp[s, UTC]"}
_KEY_INTEGERS = {3: "<i", 4: "<q", 8: "<q"}
_STRING = 2


class EntityKey(NamedTuple):
    names: list[str]  # of the join keys, in the order of Feast: by name
    dtypes: list[str]
    values: list[Any]  # timestamps as seconds
    rest: bytes  # what follows: the project


def parse_key(key: bytes) -> EntityKey | None:
    """None if these are not the bytes of an entity key of version 3."""
    try:
        (count,) = struct.unpack_from("<I", key)
        at, names, dtypes, values = 4, [], [], []
        if count > 64:
            return None
        for _ in range(count):
            kind, content, at = _part(key, at)
            if kind != _STRING:
                return None
            names.append(content.decode())
        for _ in range(count):
            kind, content, at = _part(key, at)
            dtypes.append(_KEY_TYPES[kind])
            values.append(_key_value(kind, content))
        return EntityKey(names, dtypes, values, key[at:])
    except (struct.error, KeyError, UnicodeDecodeError):
        return None


def _part(key: bytes, at: int) -> tuple[int, bytes, int]:
    kind, size = struct.unpack_from("<II", key, at)
    content = key[at + 8 : at + 8 + size]
    if len(content) != size:
        raise struct.error("ends early")
    return kind, content, at + 8 + size


def _key_value(kind: int, content: bytes) -> Any:
    if kind in _KEY_INTEGERS:
        return struct.unpack(_KEY_INTEGERS[kind], content)[0]
    return content.decode() if kind == _STRING else content


def field_of(view: str, feature: str) -> bytes:
    """The hash field of a feature."""
    return struct.pack("<I", murmur3(f"{view}:{feature}".encode()))


def murmur3(data: bytes) -> int:
    """MurmurHash3, 32 bits for x86, seed 0."""

    def mixed(block: int) -> int:
        block = block * 0xCC9E2D51 & 0xFFFFFFFF
        return (block << 15 | block >> 17) * 0x1B873593 & 0xFFFFFFFF

    value, whole = 0, len(data) & ~3
    for (block,) in struct.iter_unpack("<I", data[:whole]):
        value ^= mixed(block)
        value = ((value << 13 | value >> 19) * 5 + 0xE6546B64) & 0xFFFFFFFF
    value ^= mixed(int.from_bytes(data[whole:], "little")) ^ len(data)
    value = (value ^ value >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    value = (value ^ value >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return value ^ value >> 16


# -- protobuf ---------------------------------------------------------------------------------


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field of a message: int, or bytes where those are the content."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        content = data[at : at + size]
        if len(content) != size:
            raise ValueError("ends early")
        at += size
        yield number, content


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("ends early")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _signed(value: Any) -> int:
    """Negative numbers are sent as 64 bits, also those of 32."""
    if not isinstance(value, int):
        raise ValueError("not a number")
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _varints(content: bytes) -> list[int]:
    at, values = 0, []
    while at < len(content):
        value, at = _varint(content, at)
        values.append(_signed(value))
    return values


def _numbers(content: bytes) -> list[int]:
    values: list[int] = []
    for number, value in _fields(content):
        if number == 1:  # packed, or one by one from older writers
            values += _varints(value) if isinstance(value, bytes) else [_signed(value)]
    return values


def _floats(code: str) -> Callable[[bytes], list[float]]:
    def read(content: bytes) -> list[float]:
        packed = b"".join(value for number, value in _fields(content) if number == 1)
        return [value for (value,) in struct.iter_unpack(code, packed)]

    return read


def _texts(content: bytes) -> list[str]:
    return [value.decode() for number, value in _fields(content) if number == 1]


def _text(content: bytes) -> str:
    return content.decode()


def _bytes(content: Any) -> bytes:
    if not isinstance(content, bytes):
        raise ValueError("not bytes")
    return content


def _bool(content: Any) -> bool:
    return _signed(content) != 0


def _float(code: str) -> Callable[[bytes], float]:
    return lambda content: struct.unpack(code, content)[0]


# Case of a Value -> (column type, how to read its content). Other cases (maps, sets, structs, lists
# that no column can hold) are kept as the bytes of the whole Value.
_CASES: dict[int, tuple[str, Callable[[Any], Any]]] = {
    1: ("binary", _bytes),
    2: ("utf8", _text),
    3: ("int32", _signed),
    4: ("int64", _signed),
    5: ("float64", _float("<d")),
    6: ("float32", _float("<f")),
    7: ("bool", _bool),
    8: ("timestamp[s, UTC]", _signed),
    12: ("list<utf8>", _texts),
    13: ("list<int32>", _numbers),
    14: ("list<int64>", _numbers),
    15: ("list<float64>", _floats("<d")),
    16: ("list<float32>", _floats("<f")),
    17: ("list<uint8>", _numbers),  # bools
    18: ("list<int64>", _numbers),  # Unix timestamps, in seconds
    32: ("utf8", _text),  # JSON
    36: ("utf8", _text),  # UUIDs
    37: ("utf8", _text),
    44: ("utf8", _text),  # decimals
}
_NULL = 19


def parse_value(data: bytes) -> tuple[str, Any]:
    """(column type, value) of a protobuf Value; ("null", None) where it has none.

    Errors: ValueError if these are not the bytes of one.
    """
    case, content = 0, None
    for case, content in _fields(data):  # noqa: B007  the last one counts, as everywhere in protobuf
        pass
    if case in (0, _NULL):
        return "null", None
    if case not in _CASES:
        return "binary", data
    dtype, read = _CASES[case]
    try:
        return dtype, read(content)
    except (struct.error, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None


def parse_timestamp(data: bytes) -> int:
    """A protobuf Timestamp in microseconds since 1970. Errors: ValueError."""
    parts = dict(_fields(data))
    return _signed(parts.get(1, 0)) * 1_000_000 + _signed(parts.get(2, 0)) // 1000
