"""Every type through every door: what one writes, each shows, bit for bit.

Hypothesis makes the tables, writes, deletions and reads; which door writes and which reads are
drawn apart. How a new door joins stands in doors.py.

A failure prints the seed and the steps. FLETCHING_DOORS_SEED repeats a run, with
FLETCHING_DOORS_SHRINK=1 the smallest steps that fail are looked for (minutes), and
FLETCHING_DOORS_EXAMPLES makes a run longer.
"""

import os
import random
from typing import Any

import pyarrow as pa
import pytest
from door_values import (
    KEY_TYPES,
    TYPES,
    awkward_values,
    bits,
    make_array,
    may_become_null,
    or_null,
    values_of,
)
from doors import DOORS, Door, Stage
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

SEED = int(os.environ.get("FLETCHING_DOORS_SEED") or random.randrange(2**32))
EXAMPLES = int(os.environ.get("FLETCHING_DOORS_EXAMPLES") or 6)  # per type
PHASES = [Phase.generate, *([Phase.shrink] if os.environ.get("FLETCHING_DOORS_SHRINK") else [])]
REQUESTS_MIN = 500  # in a run of every type

Key = tuple[Any, ...]  # the bytes of each part


class Model:
    """What a table should hold: every value ever written, and which one each key has now."""

    def __init__(self, schema: pa.Schema, key: list[str]) -> None:
        self.schema = schema
        self.key = key
        self.values = [name for name in schema.names if name not in key]
        self._written = {name: pa.array([], schema.field(name).type) for name in self.values}
        self._rows: dict[Key, dict[str, int | None]] = {}

    def write(self, rows: pa.Table) -> None:
        given = [name for name in rows.schema.names if name not in self.key]
        first = {name: len(self._written[name]) for name in given}
        for name in given:
            chunks = [self._written[name], *rows[name].chunks]
            self._written[name] = pa.concat_arrays(chunks)
        for at, key in enumerate(self._keys(rows)):
            row = self._rows.setdefault(key, dict.fromkeys(self.values))
            row.update({name: first[name] + at for name in given})

    def delete(self, keys: pa.Table) -> None:
        for key in self._keys(keys):
            self._rows.pop(key, None)

    def read(self, keys: pa.Table, columns: list[str]) -> tuple[list[bool], dict[str, pa.Array]]:
        rows = [self._rows.get(key) for key in self._keys(keys)]
        taken = {
            name: self._written[name].take(
                pa.array([None if row is None else row[name] for row in rows], pa.int64())
            )
            for name in columns
        }
        return [row is not None for row in rows], taken

    def _keys(self, rows: pa.Table) -> list[Key]:
        parts = [bits(rows[name].combine_chunks()) for name in self.key]
        return list(zip(*parts, strict=True))


@st.composite
def schemas(draw: st.DrawFn, dtype: pa.DataType) -> tuple[pa.Schema, list[str]]:
    """A table with a column `v` of this type, beside others, in any order; and its key."""
    key_types = draw(st.lists(st.sampled_from(list(KEY_TYPES.values())), min_size=1, max_size=3))
    key = [f"k{at}" for at in range(len(key_types))]
    fields = [pa.field(*pair, nullable=False) for pair in zip(key, key_types, strict=True)]
    others = draw(st.lists(st.sampled_from(list(TYPES.values())), max_size=2))
    for name, value_type in zip(("v", "w1", "w2"), [dtype, *others], strict=False):
        is_nullable = may_become_null(value_type) or draw(st.booleans())
        fields.append(pa.field(name, value_type, is_nullable))
    return pa.schema(draw(st.permutations(fields))), key


class Play:
    """One table, its model, and the steps that are drawn for it."""

    def __init__(self, data: st.DataObject, stage: Stage, name: str, dtype: pa.DataType) -> None:
        self.data = data
        self.stage = stage
        self.name = name
        schema, key = data.draw(schemas(dtype), label="schema, key")
        self.model = Model(schema, key)
        self.key_rows = st.tuples(*(values_of(schema.field(k).type, is_key=True) for k in key))
        self.pool = data.draw(st.lists(self.key_rows, min_size=1, max_size=6), label="keys")
        self.door("creates").create(name, schema, key)

    def door(self, verb: str, reads: bool = False) -> Door:
        doors = [door for door in DOORS if door.reads or not reads]
        self.stage.request_count += 1
        kind = self.data.draw(st.sampled_from(doors), label=verb)
        return kind(self.stage)

    def keys(self, **sizes: int) -> pa.Table:
        """Some of the table's keys, some that may not be there, any of them twice."""
        one = st.sampled_from(self.pool) | st.sampled_from(self.pool) | self.key_rows
        rows = self.data.draw(st.lists(one, **sizes), label="keys")
        names = self.model.key
        columns = [
            make_array([row[at] for row in rows], self.model.schema.field(name).type)
            for at, name in enumerate(names)
        ]
        return pa.table(columns, names=names)

    def columns(self) -> list[str]:
        return self.data.draw(st.lists(st.sampled_from(self.model.values), unique=True))

    def write(self) -> None:
        rows = self.keys(max_size=7)
        is_patch = self.data.draw(st.booleans(), label="patch")
        door = self.door("writes")
        wanted = self.columns()
        for field in [self.model.schema.field(name) for name in self.model.values]:
            if is_patch and field.nullable and field.name not in wanted:
                continue
            one = or_null(field.type) if field.nullable else values_of(field.type)
            sizes = {"min_size": rows.num_rows, "max_size": rows.num_rows}
            values = self.data.draw(st.lists(one, **sizes), label=field.name)
            column = door.carried(make_array(values, field.type))
            rows = rows.append_column(pa.field(field.name, field.type, field.nullable), column)
        rows = rows.select(self.data.draw(st.permutations(rows.schema.names)))
        door.write(self.name, rows, is_patch)
        self.model.write(rows)

    def delete(self) -> None:
        keys = self.keys(max_size=3)
        self.door("deletes").delete(self.name, keys)
        self.model.delete(keys)

    def read(self) -> None:
        keys, columns = self.keys(max_size=9), self.columns()
        compare(self.door("reads", reads=True), self.name, self.model, keys, columns)


def compare(door: Door, name: str, model: Model, keys: pa.Table, columns: list[str]) -> None:
    rows = door.read(name, keys, columns)
    found, expected = model.read(keys, columns)
    assert rows.found == found, door.name
    for column, values in expected.items():
        assert rows.columns[column] == door.shown(values), (door.name, column, values.type)
        assert rows.types is None or rows.types[column] == values.type, (door.name, column)


@pytest.fixture(scope="module")
def progress():
    """Types that went through, and requests so far."""
    return {"types": set(), "requests": 0}


@pytest.fixture
def stage(make_server, tmp_path, progress):
    stage = Stage(tmp_path / "data", lambda: make_server("--shutdown-notice", "0ms"))
    yield stage
    stage.close()
    progress["requests"] += stage.request_count


@pytest.mark.parametrize("dtype", TYPES)
def test_what_one_door_writes_every_door_shows_bit_for_bit(stage, progress, dtype):
    print("FLETCHING_DOORS_SEED =", SEED)
    tables = iter(range(1_000_000))

    @seed(f"{SEED} {dtype}")
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=PHASES,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def through_the_doors(data: st.DataObject) -> None:
        play = Play(data, stage, f"t{next(tables)}", TYPES[dtype])
        play.write()
        for _ in range(data.draw(st.integers(0, 2), label="more steps")):
            data.draw(st.sampled_from([play.write, play.write, play.delete]))()
        for _ in range(3):
            play.read()

    through_the_doors()
    progress["types"].add(dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_awkward_values_and_keys_through_every_pair_of_doors(stage, dtype):
    values = [*awkward_values(TYPES[dtype]), None]
    key_type = KEY_TYPES.get(dtype, pa.int16())
    rows = awkward_values(key_type, is_key=True) if dtype in KEY_TYPES else range(len(values))
    keys = pa.table({"k": make_array(list(rows), key_type)})
    key_field = pa.field("k", key_type, nullable=False)
    schema = pa.schema([key_field, pa.field("v", TYPES[dtype])])
    column = make_array((values * len(rows))[: len(rows)], TYPES[dtype])
    models = {}
    for at, writer in enumerate(kind(stage) for kind in DOORS):
        batch = keys.append_column("v", writer.carried(column))
        writer.create(f"t{at}", schema, ["k"])
        writer.write(f"t{at}", batch, False)
        models[f"t{at}"] = Model(schema, ["k"])
        models[f"t{at}"].write(batch)
    for name, model in models.items():
        for reader in [kind(stage) for kind in DOORS if kind.reads]:
            compare(reader, name, model, keys, ["v"])


def test_the_doors_were_opened_often_enough(progress):
    if progress["types"] != set(TYPES):
        pytest.skip("only some types were asked for, or some failed")
    print("FLETCHING_DOORS_SEED =", SEED)
    assert progress["requests"] >= REQUESTS_MIN
