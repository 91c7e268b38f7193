"""Rows as Feast's online store in Redis has them; `_feast.py` knows the bytes."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from fletching import _feast
from fletching._errors import InvalidArgumentError, SchemaMismatchError
from fletching._redis_layouts import Layout, Rows
from fletching._redis_values import BadValueError, convert_object

EVENT_TIME = "__event_ts"


class FeastLayout(Layout):
    """Feast's Redis store: see `_feast.py`. Entities are key columns, features are columns, and the
    event time is one, by which the newest row wins."""

    event_time = EVENT_TIME
    command = "HMGET"

    def __init__(self, project: str, view: str, features: list[str]) -> None:
        super().__init__("", b"", b"", features)
        self.key = []  # known with the first row
        self._project = project.encode()
        self._hashes = [_feast.field_of(view, name) for name in features]
        self._hashes.append(f"_ts:{view}".encode())
        self._dtypes: list[str] = []
        if len(set(self._hashes)) < len(self._hashes):
            raise InvalidArgumentError("two of these features have the same name or hash")

    def owns(self, key: bytes) -> bool:
        if not key.endswith(self._project):
            return False
        parsed = _feast.parse_key(key)
        return parsed is not None and parsed.rest == self._project

    def shown(self, key: bytes) -> str:
        parsed = _feast.parse_key(key)
        if parsed is None:
            return super().shown(key)
        return ", ".join(f"{n}={v!r}" for n, v in zip(parsed.names, parsed.values, strict=True))

    def ask(self, pipe: Any, key: bytes) -> None:
        pipe.execute_command(self.command, key, *self._hashes)

    def take(self, keys: list[bytes], replies: list[Any]) -> Rows:
        self.check_replies(keys, replies)
        # Views with the same entity share a hash; one without our time has no row of ours.
        there = [(k, reply) for k, reply in zip(keys, replies, strict=True) if reply[-1]]
        kept = [key for key, _ in there]
        entities = self._entities(kept)  # sets self.key
        columns: dict[str, Any] = dict(zip(self.key, entities, strict=True))
        for at, name in enumerate(self.fields or []):
            if name in columns:
                raise InvalidArgumentError(f"'{name}' is an entity, not a feature, of this view")
            values = [reply[at] for _, reply in there]
            columns[name] = self._values(kept, values, name, _feast.parse_value)
        columns[EVENT_TIME] = self._values(kept, [r[-1] for _, r in there], "_ts", _time)
        return Rows(kept, columns)

    def _entities(self, keys: list[bytes]) -> list[list[Any]]:
        parsed = [_feast.parse_key(key) for key in keys]
        for key, one in zip(keys, parsed, strict=True):
            assert one is not None  # owns() has seen it
            if not self.key:
                self.key, self._dtypes = one.names, one.dtypes
            if one.names != self.key or one.dtypes != self._dtypes:
                raise SchemaMismatchError(
                    f"key {self.shown(key)} has entities {_entities_text(one.names, one.dtypes)}; "
                    f"others of this view have {_entities_text(self.key, self._dtypes)}"
                )
        return [[one.values[at] for one in parsed if one] for at in range(len(self.key))]

    def _values(self, keys: list[bytes], values: list[Any], name: str, parse: Any) -> list[Any]:
        """(dtype, value) pairs."""
        pairs = []
        for key, value in zip(keys, values, strict=True):
            try:
                pairs.append(("null", None) if value is None else parse(value))
            except ValueError as error:
                raise SchemaMismatchError(
                    f"key {self.shown(key)}, feature '{name}': no value of Feast's: {error}"
                ) from None
        return pairs

    def guess(self, rows: Rows) -> dict[str, Any]:
        found = dict(zip(self.key, self._dtypes, strict=True))
        for name, pairs in rows.columns.items():
            if name not in found:
                found[name] = next((dtype for dtype, _ in pairs if dtype != "null"), "utf8")
        return found

    def _key_array(self, values: list[Any], dtype: pa.DataType) -> pa.Array:
        return convert_object(values, dtype)

    def _convert(self, pairs: Any, dtype: pa.DataType) -> pa.Array:
        if pa.types.is_string(dtype):  # else bytes of a map would pass for text
            for row, (found, value) in enumerate(pairs):
                if found not in ("utf8", "null"):
                    raise BadValueError(row, value)
        return convert_object([value for _, value in pairs], dtype)


def _time(data: bytes) -> tuple[str, int]:
    return "timestamp[us, UTC]", _feast.parse_timestamp(data)


def _entities_text(names: Sequence[str], dtypes: Sequence[str]) -> str:
    return (
        ", ".join(f"{name}: {dtype}" for name, dtype in zip(names, dtypes, strict=True)) or "none"
    )
