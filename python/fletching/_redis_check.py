"""Whether what a load has written is what Redis holds: some keys read again and compared."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fletching._redis_layouts import Layout, Rows, shown

if TYPE_CHECKING:
    from fletching._database import Database

_CHUNK_KEYS = 500
_SHOWN_MAX = 10


def draw_keys(client: Any, layout: Layout, match: str | None, count: int) -> list[bytes]:
    """Drawn by Redis itself, so that one that the load has missed can be found."""
    with client.pipeline(transaction=False) as pipe:
        for _ in range(count):
            pipe.randomkey()
        drawn = pipe.execute()
    pattern = glob_pattern(match or "*")
    return [key for key in drawn if key and pattern.fullmatch(key) and layout.owns(key)]


def check_keys(
    db: "Database",
    name: str,
    layout: Layout,
    fetch: Callable[[list[bytes]], list[Any]],
    drawn: list[bytes],
    copied: list[bytes],
    count: int,
) -> tuple[int, int, list[str]]:
    """(keys compared, keys of `copied` that Redis has no longer, differences in words).

    Where few of what Redis drew are rows of ours, `copied`, drawn from those that were written,
    fill the number up.
    """
    keys = list(dict.fromkeys([*drawn, *copied]))
    written = set(copied)
    differences: list[str] = []
    compared = gone = at = 0
    while at < len(keys) and compared < count:
        chunk = keys[at : at + min(_CHUNK_KEYS, count - compared)]
        at += len(chunk)
        rows = layout.take(chunk, fetch(chunk))
        compared += len(rows.keys)
        gone += len((set(chunk) & written).difference(rows.keys))
        if rows.keys:
            differences += _compare(db, name, layout, rows)
    hidden = len(differences) - _SHOWN_MAX
    if hidden > 0:
        differences[_SHOWN_MAX:] = [f"and {hidden:,} more"]
    return compared, gone, differences


def _compare(db: "Database", name: str, layout: Layout, rows: Rows) -> list[str]:
    schema = db.schema(name)
    wanted = layout.batch(rows, schema)
    columns = [column for column in schema.names if column not in layout.key]
    result = db.read(name, wanted.select(layout.key), columns)
    stored, found = result.to_arrow(), result.found
    differences = [
        f"key {layout.shown(key)} is not in the table"
        for key, is_found in zip(rows.keys, found, strict=True)
        if not is_found
    ]
    for column in columns:
        pairs = zip(_plain(wanted[column]), _plain(stored[column]), strict=True)
        for row, (ours, theirs) in enumerate(pairs):
            if found[row] and repr(ours) != repr(theirs):  # so that NaN is NaN, and -0.0 not 0.0
                key = layout.shown(rows.keys[row])
                differences.append(
                    f"key {key}, column '{column}': {shown(ours)} in Redis, {shown(theirs)} in the "
                    "table"
                )
    return differences


def _plain(array: pa.Array) -> list[Any]:
    if pa.types.is_temporal(array.type):
        array = array.cast(pa.int64() if array.type.bit_width == 64 else pa.int32())
    return array.to_pylist()


# -- patterns of Redis --------------------------------------------------------------------------

_TOKEN = re.compile(rb"\\.|\*|\?|\[\^?(?:\\.|[^\]])*\]|.", re.S)


def glob_pattern(match: str) -> re.Pattern[bytes]:
    """What MATCH takes, as a regular expression."""
    parts = []
    for token in _TOKEN.findall(match.encode()):
        if token == b"*":
            parts.append(b".*")
        elif token == b"?":
            parts.append(b".")
        elif token.startswith(b"[") and len(token) > 1:
            parts.append(_class(token[1:-1]))
        else:
            parts.append(re.escape(token[-1:]))
    return re.compile(b"".join(parts), re.S)


def _class(inside: bytes) -> bytes:
    """Of Redis, where a backslash only takes a meaning away."""
    is_negated = inside.startswith(b"^")
    text, parts = inside[is_negated:], []
    while text:
        if text[:1] == b"\\" and len(text) > 1:
            text = text[1:]
        elif len(text) > 2 and text[1:2] == b"-":
            low, high = sorted((text[:1], text[2:3]))
            parts.append(re.escape(low) + b"-" + re.escape(high))
            text = text[3:]
            continue
        parts.append(re.escape(text[:1]))
        text = text[1:]
    if not parts:
        return b"." if is_negated else b"(?!)"
    return b"[" + (b"^" if is_negated else b"") + b"".join(parts) + b"]"


def literal_ends(match: str | None) -> tuple[bytes, bytes]:
    """The text before the first wildcard of a pattern, and the text after the last one."""
    tokens = _TOKEN.findall((match or "*").encode())
    wild = [at for at, token in enumerate(tokens) if _is_wild(token)]
    if not wild:
        return b"", b""
    before, after = tokens[: wild[0]], tokens[wild[-1] + 1 :]
    return b"".join(t[-1:] for t in before), b"".join(t[-1:] for t in after)


def _is_wild(token: bytes) -> bool:
    return token in (b"*", b"?") or (token.startswith(b"[") and len(token) > 1)
