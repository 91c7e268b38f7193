"""Rows of a Redis into a table: scanned, written batch by batch, checked by samples.

Memory holds one batch. Redis is asked with SCAN and pipelines, so it goes on serving meanwhile.
What changes in Redis during a load may come along or not; a load is a copy, not a replica.
"""

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from fletching._errors import (
    FletchingError,
    InvalidArgumentError,
    NotFoundError,
    SchemaMismatchError,
    UnavailableError,
    UnsupportedError,
)
from fletching._load import Progress
from fletching._redis_check import check_keys, draw_keys
from fletching._redis_layouts import Rows, has_value
from fletching._redis_source import RedisSource, connect, make_layout, parse_schema, server_name
from fletching._redis_state import State, StateFile

if TYPE_CHECKING:
    from fletching._database import Database

_BATCH_ROWS = 10_000  # rows of one write, and of what types are guessed from
_BATCH_BYTES = 32 << 20  # about as much memory as a batch may take in Redis's form
_REPLY_BYTES = 4 << 20  # about as much as one pipeline should answer
_COUNT_MAX = 1000  # keys asked for at once: more keeps Redis from its other clients
_SCANS_MAX = 1000  # of one batch, where a pattern matches few keys: then the cursor is saved


class RedisLoad(NamedTuple):
    """What a load has done."""

    row_count: int
    """Written by all runs of this load; a key that SCAN gave twice counts twice."""
    version: int
    """Number of the commit that shows them."""
    checked_count: int
    """Keys compared afterwards."""
    gone_count: int
    """Of the sampled keys, those that Redis has no longer."""
    differences: list[str]
    """What the check found; empty if all is well."""


class Loader:
    """One run of a load. `progress` and `say` are told how it goes."""

    def __init__(
        self,
        db: "Database",
        name: str,
        source: RedisSource,
        check_count: int,
        progress: Callable[[int], None] | None,
        say: Callable[[str], None],
    ) -> None:
        self._db = db
        self._name = name
        self._source = source
        self._layout = make_layout(source)
        self._check_count = check_count
        self._progress = progress
        self._say = say
        self._server = server_name(source.url)
        self._client = connect(source.url)
        self._file = StateFile(db.path, name)
        self._schema: pa.Schema | None = None  # of the table, once there is a row
        self._count = 100  # keys to ask for at once

    def run(self, restart: bool) -> RedisLoad:
        import redis

        state, written = None, 0
        try:
            state = self._begin(restart)
            written = state.rows
            if not state.is_scanned:
                self._copy(state)
            found = self._check(state)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._left(state)) from None
        except redis.RedisError as error:
            text = f"Redis at {self._server}: {error}"
            raise UnavailableError(f"{text}; {self._left(state)}") from None
        except FletchingError as error:
            if state is not None and state.rows > written:
                raise type(error)(f"{error}; {self._left(state)}") from None
            raise
        self._file.remove()
        return RedisLoad(state.rows, state.version, *found)

    def _check(self, state: State) -> tuple[int, int, list[str]]:
        count = self._check_count
        drawn = draw_keys(self._client, self._layout, self._source.match, count)
        copied = state.sampled_keys()
        return check_keys(self._db, self._name, self._layout, self._fetch, drawn, copied, count)

    def _left(self, state: State | None) -> str:
        if state is None or state.rows == 0:
            return "nothing was written"
        return f"{state.rows:,} rows are stored; the same command goes on from there"

    def _begin(self, restart: bool) -> State:
        info = self._info()
        if info.get("redis_mode") == "cluster":
            raise UnsupportedError(
                f"{self._server} is a node of a Redis Cluster and holds only a part of the keys; "
                "clusters cannot be loaded yet"
            )
        run_id = info.get("run_id", "")
        fresh = State(self._source.options(), run_id)
        if restart:
            self._file.remove()
        state = self._file.read(fresh.options)
        if state is None:
            return fresh
        if not run_id or state.run_id != run_id:
            self._say("Redis was restarted since, so its cursor is void: beginning anew")
            return fresh
        if state.rows and (
            self._name not in self._db or self._db.table(self._name).version < state.version
        ):
            self._say(f"table '{self._name}' is not what was written: beginning anew")
            return fresh
        self._say(f"going on after {state.rows:,} rows of an unfinished load")
        return state

    def _info(self) -> dict[str, Any]:
        import redis

        try:
            return self._client.info("server")
        except redis.ResponseError:  # a user who may not ask
            return {}

    # -- copying ----------------------------------------------------------------------------------

    def _copy(self, state: State) -> None:
        total = None if self._source.match else self._client.dbsize()
        if isinstance(self._progress, Progress):
            self._progress.begin(state.rows)
        for cursor, rows in self._batches(state.cursor):
            if rows.keys:
                result = self._write(rows)
                state.rows += len(rows.keys)
                state.version = result.version
            state.cursor, state.is_scanned = cursor, cursor == 0
            state.add_to_sample(rows.keys, self._check_count)
            if state.rows or cursor:
                self._file.write(state)
            if isinstance(self._progress, Progress) and total:
                self._progress.total = max(total, state.rows)
            if self._progress and rows.keys:
                self._progress(state.rows)
        if state.rows == 0:
            self._file.remove()
            raise NotFoundError(self._nothing_text())
        if isinstance(self._progress, Progress):
            self._progress.total = state.rows
            self._progress.end(state.rows)

    def _nothing_text(self) -> str:
        source = self._source
        wanted = "no key" if source.match is None else f"no key matches '{source.match}'"
        if source.layout == "feast":
            wanted = f"no row of view '{source.view}' of project '{source.project}'"
        return f"{wanted} in Redis at {self._server}, which holds {self._client.dbsize():,} keys"

    def _batches(self, cursor: int) -> Iterator[tuple[int, Rows]]:
        """(cursor to go on from, rows before it)."""
        is_last = False
        while not is_last:
            keys: list[bytes] = []
            replies: list[Any] = []
            batch_bytes = 0
            for _ in range(_SCANS_MAX):
                cursor, found = self._client.scan(cursor, self._source.match, self._count)
                mine = [key for key in found if self._layout.owns(key)]
                if mine:
                    answers = self._fetch(mine)
                    reply_bytes = sum(map(_bytes_of, answers))
                    self._count = _next_count(reply_bytes // len(mine))
                    batch_bytes += reply_bytes
                    keys += mine
                    replies += answers
                is_last = cursor == 0
                if is_last or len(keys) >= _BATCH_ROWS or batch_bytes >= _BATCH_BYTES:
                    break
            yield cursor, self._layout.take(keys, replies)

    def _fetch(self, keys: list[bytes]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                self._layout.ask(pipe, key)
            return pipe.execute(raise_on_error=False)

    def _write(self, rows: Rows) -> Any:
        is_new = self._schema is None and self._ensure_table(rows)
        try:
            assert self._schema is not None
            self._refuse_unknown(rows)
            return self._db.write(self._name, self._layout.batch(rows, self._schema))
        except BaseException:
            if is_new and self._db.table(self._name).row_count == 0:
                self._db.drop(self._name)  # we made it a moment ago, for these rows
            raise

    def _ensure_table(self, rows: Rows) -> bool:
        """Whether the table was made. Sets the schema that rows are converted to."""
        given = parse_schema(self._source.schema) or {}
        given.pop("*", None)
        is_new = self._name not in self._db
        if is_new:
            self._check_names(rows, given)
            guessed = self._layout.guess(rows)
            dtypes = guessed | {name: dtype for name, dtype in given.items() if dtype}
            time = self._layout.event_time
            self._db.create_table(self._name, dtypes, key=self._layout.key, event_time=time)
        info = self._db.table(self._name)
        columns = {column.name: column.dtype for column in info.columns}
        self._check_table(info.key, columns, given)
        self._schema = self._db.schema(self._name)
        if is_new:
            text = ",".join(f"{name}:{dtype}" for name, dtype in columns.items())
            self._say(f"columns (types not given are guessed from {len(rows.keys):,} rows): {text}")
        return is_new

    def _check_names(self, rows: Rows, given: dict[str, str | None]) -> None:
        """A name with a slip of the pen would be a column of nulls."""
        for name, dtype in given.items():
            if any(has_value(value) for value in rows.columns.get(name, ())):
                continue
            text = f"none of {len(rows.keys):,} rows has a value of '{name}'"
            if dtype is None:
                raise InvalidArgumentError(
                    f"{text}: check its name, or say its type in the schema, as {name}:float32"
                )
            self._say(f"note: {text}")

    def _check_table(
        self, key: list[str], columns: dict[str, str], given: dict[str, str | None]
    ) -> None:
        if sorted(key) != sorted(self._layout.key):
            raise InvalidArgumentError(
                f"the key of table '{self._name}' is {key}, not {self._layout.key}"
            )
        for name, dtype in given.items():
            if name not in columns:
                raise SchemaMismatchError(f"table '{self._name}' has no column '{name}'")
            if dtype is not None and columns[name] != dtype:
                raise SchemaMismatchError(
                    f"column '{name}' of table '{self._name}' is {columns[name]}, not {dtype}; "
                    "drop the table or take another"
                )

    def _refuse_unknown(self, rows: Rows) -> None:
        """A field that no column takes must not be lost in silence."""
        assert self._schema is not None
        for name, values in rows.columns.items():
            if name not in self._schema.names and name != self._layout.event_time:
                some = next(
                    (k for k, v in zip(rows.keys, values, strict=True) if has_value(v)),
                    rows.keys[0],
                )
                raise SchemaMismatchError(
                    f"key {self._layout.shown(some)} has a field '{name}', which the table has "
                    "not; name the fields to take in the schema, others are left out then"
                )


def _bytes_of(reply: Any) -> int:
    """About what a reply takes in memory."""
    if isinstance(reply, bytes):
        return len(reply)
    if isinstance(reply, dict):
        reply = list(reply.values())
    return sum(50 + len(value or b"") for value in reply) if isinstance(reply, list) else 0


def _next_count(row_bytes: int) -> int:
    return max(1, min(_COUNT_MAX, _REPLY_BYTES // max(1, row_bytes)))


def load_redis(
    db: "Database",
    name: str,
    source: RedisSource,
    *,
    check_count: int = 1000,
    restart: bool = False,
    progress: bool | Callable[[int], None] = False,
) -> RedisLoad:
    """As `Database.load_redis`."""
    report = Progress(None) if progress is True else progress or None

    def say(text: str) -> None:
        if progress is True:
            print(text, file=sys.stderr)

    return Loader(db, name, source, check_count, report, say).run(restart)
