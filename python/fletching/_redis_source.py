"""Which rows of which Redis: the URL, the options that go together, the layout they make."""

import os
import re
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fletching._errors import InvalidArgumentError, UnavailableError, UnsupportedError
from fletching._redis_check import literal_ends
from fletching._redis_feast import EVENT_TIME, FeastLayout
from fletching._redis_layouts import (
    FORMATS,
    ArrowLayout,
    FloatLayout,
    HashLayout,
    Layout,
    ObjectLayout,
)

SCHEMES = ("redis://", "rediss://", "unix://")
LAYOUTS = ("hash", "blob", "feast")


@dataclass(frozen=True)
class RedisSource:
    """Which rows to take from a Redis, and how they lie there.

    url: redis://[[user]:password@]host[:port][/database], rediss:// for TLS, unix:// for a socket.
    layout: "hash", one hash per row, its fields are columns; "blob", one string per row; "feast",
        the online store of Feast.
    match: a pattern of keys, as Redis has them: "user:*"; all if not said.
    prefix: what the keys begin with and the key column leaves out; if not said, what stands before
        the first wildcard of the pattern. What stands after the last one is left out as well.
    key: the name of the key column, "key" if not said.
    schema: fields to take: "age:int32,name", of a given type or of one that the first rows tell;
        "*" for all others. All if not said; then a field that the table lacks is an error.
    format: of a blob: "json" or "msgpack" with an object, "arrow" with a stream of one row,
        "float32" with numbers that the schema names, or a vector if it names one or none.
    project, view: of Feast; the schema names the features.
    """

    url: str
    layout: str
    match: str | None = None
    prefix: str | None = None
    key: str | None = None
    schema: str | None = None
    format: str | None = None
    project: str | None = None
    view: str | None = None

    def options(self) -> dict[str, Any]:
        """All but the URL, which may hold a password."""
        return {**asdict(self), "url": server_name(self.url)}


def server_name(url: str) -> str:
    """host:port/database of a URL, without user and password.

    Errors: InvalidArgumentError, which does not show the URL either.
    """
    try:
        parts = urlsplit(url)
        host, port, path = parts.hostname or "localhost", parts.port or 6379, parts.path
        database = parse_qs(parts.query).get("db", [path.strip("/") or "0"])[0]
    except ValueError:  # its text may hold a part of the password
        url = ""
    if url.startswith("unix://"):
        return f"unix:{path}"
    if not url.startswith(SCHEMES) or not database.isdecimal():
        raise InvalidArgumentError(
            "the URL is not redis://[[user]:password@]host[:port][/database]; in a password, write "
            "special characters as %XX"
        )
    return f"{host}:{port}/{database}"


def parse_schema(text: str | None) -> dict[str, str | None] | None:
    """Column types by name, None where they are to be guessed: "age:int32,name". Commas in brackets
    belong to the type; "*" stands for all other fields.
    """
    if text is None:
        return None
    columns: dict[str, str | None] = {}
    for part in re.split(r",(?![^\[<]*[\]>])", text):
        name, _, dtype = part.strip().partition(":")
        if not name or name in columns:
            raise InvalidArgumentError(
                f"schema: '{part.strip()}' names no new column; it looks like age:int32,name"
            )
        columns[name] = dtype.strip() or None
    return columns


def connect(url: str) -> Any:
    """A client that has got an answer. Where the URL has no password, REDISCLI_AUTH is taken.

    Errors: UnavailableError; none shows a password.
    """
    try:
        import redis
    except ImportError:
        raise UnsupportedError(
            "loading from Redis needs the package redis: pip install 'fletching[redis]'"
        ) from None
    server = server_name(url)
    options: dict[str, Any] = {"socket_connect_timeout": 10, "socket_timeout": 60, "protocol": 2}
    if not urlsplit(url).password and os.environ.get("REDISCLI_AUTH"):
        options["password"] = os.environ["REDISCLI_AUTH"]
    try:
        client = redis.Redis.from_url(url, **options)
        client.ping()
    except redis.AuthenticationError:
        raise UnavailableError(
            f"Redis at {server} refuses the user or password, or wants one; give it in the URL or "
            "in REDISCLI_AUTH"
        ) from None
    except redis.RedisError as error:
        raise UnavailableError(f"cannot reach Redis at {server}: {error}") from None
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"the URL of Redis at {server} has a wrong option") from None
    return client


def make_layout(source: RedisSource) -> Layout:
    """Errors: InvalidArgumentError for options that do not go together."""
    schema = parse_schema(source.schema)
    if source.layout not in LAYOUTS:
        raise InvalidArgumentError(f"layout is {' or '.join(LAYOUTS)}, not '{source.layout}'")
    is_feast, is_blob = source.layout == "feast", source.layout == "blob"
    for name, value, fits in (
        ("project", source.project, is_feast),
        ("view", source.view, is_feast),
        ("format", source.format, is_blob),
        ("prefix", source.prefix, not is_feast),
        ("key", source.key, not is_feast),
    ):
        if value is not None and not fits:
            raise InvalidArgumentError(f"layout '{source.layout}' takes no {name}")
    if is_feast:
        features = [name for name in schema or {} if name != EVENT_TIME]
        if not source.project or not source.view or not features or "*" in features:
            raise InvalidArgumentError(
                "layout 'feast' needs project, view and schema with the names of the features, as "
                "--project shop --view driver_stats --schema trips,rating"
            )
        return FeastLayout(source.project, source.view, features)
    key = source.key or "key"
    is_open = schema is None or "*" in schema
    fields = None if is_open else [name for name in schema or {} if name != key]
    prefix, suffix = literal_ends(source.match)
    if source.prefix is not None:
        prefix = source.prefix.encode()
    ends = (key, prefix, suffix, fields)
    if not is_blob:
        return HashLayout(*ends)
    if source.format == "float32":
        return FloatLayout(*ends)
    if source.format == "arrow":
        return ArrowLayout(*ends)
    if source.format in FORMATS:
        return ObjectLayout(source.format, *ends)
    raise InvalidArgumentError(f"layout 'blob' needs format: {', '.join(FORMATS)}")
