"""Tables, keys and answers of the comparison: every value follows from its row and column, so any
answer of any rival can be checked. The same formulas as bench/workload.h and embedded_rivals.cc.

    key of row r        utf8: "user:%09d"; int64: r itself
    float of (r, c)     (r * 2654435761 XOR c * 40503) AND 0xFFFFFF, exact in float32
    text c of row r     the 16 hex digits of splitmix64(r * 8 + c), repeated and cut to
                        5 + splitmix64(r * 8 + c + 4) % 36 bytes

splitmix64(x) is the first number of that generator with seed x.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

BATCH_ROWS = 250_000
ZIPF_EXPONENT = 0.99
UTF8_KEY_BYTES = 14
TEXT_BYTES_MAX = 40
EXPECTED_BYTES_MAX = 64 << 20  # of the expected answers of one case that stay in memory


@dataclass(frozen=True)
class Shape:
    """Columns of a table and those of them that a request reads: floats first, then texts."""

    name: str
    float_count: int
    text_count: int = 0
    read_step: int = 1  # 50: every fiftieth float column is read

    @property
    def read_floats(self) -> list[int]:
        """Numbers of the float columns that a request reads."""
        return list(range(7 if self.read_step > 1 else 0, self.float_count, self.read_step))

    @property
    def names(self) -> list[str]:
        texts = [f"t{c}" for c in range(self.text_count)]
        return [f"f{c}" for c in range(self.float_count)] + texts

    @property
    def read_names(self) -> list[str]:
        texts = [f"t{c}" for c in range(self.text_count)]
        return [f"f{c}" for c in self.read_floats] + texts


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("floats10", 10),
        Shape("floats10of500", 500, read_step=50),
        Shape("floats40", 40),
        Shape("floats100", 100),
        Shape("mixed", 5, text_count=3),
    )
}


@dataclass(frozen=True)
class Table:
    """A table to load: `rows` rows with keys 0 .. rows - 1."""

    rows: int
    shape: Shape
    key_type: str = "utf8"

    def batches(self) -> Iterator[pa.RecordBatch]:
        for first in range(0, self.rows, BATCH_ROWS):
            yield self.batch(first, min(BATCH_ROWS, self.rows - first))

    def batch(self, first: int, count: int) -> pa.RecordBatch:
        numbers = np.arange(first, first + count, dtype=np.uint64)
        floats = float_values(numbers, np.arange(self.shape.float_count))
        arrays = [self.key_array(numbers), *(pa.array(column.copy()) for column in floats.T)]
        arrays += [text_array(numbers, c) for c in range(self.shape.text_count)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    @property
    def schema(self) -> pa.Schema:
        key = pa.field("id", pa.utf8() if self.key_type == "utf8" else pa.int64(), nullable=False)
        floats = [pa.field(f"f{c}", pa.float32()) for c in range(self.shape.float_count)]
        return pa.schema([key, *floats, *(pa.field(n, pa.utf8()) for n in self.text_names)])

    @property
    def text_names(self) -> list[str]:
        return self.shape.names[self.shape.float_count :]

    def key_array(self, numbers: np.ndarray) -> pa.Array:
        if self.key_type == "int64":
            return pa.array(numbers.astype(np.int64))
        ends = np.arange(len(numbers) + 1, dtype=np.int32) * UTF8_KEY_BYTES
        data = [None, pa.py_buffer(ends), pa.py_buffer(key_bytes(numbers))]
        return pa.Array.from_buffers(pa.utf8(), len(numbers), data)

    def keys(self, numbers: np.ndarray) -> list[Any]:
        """Keys as an application has them: a list of str or int."""
        if self.key_type == "int64":
            return numbers.tolist()
        return [f"user:{number:09d}" for number in numbers.tolist()]

    @property
    def raw_bytes(self) -> int:
        """Bytes of keys and values, without any structure (texts by their mean length)."""
        key = 8 if self.key_type == "int64" else UTF8_KEY_BYTES
        return int(self.rows * (key + 4 * self.shape.float_count + 22.5 * self.shape.text_count))


def float_values(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Shape: [rows, columns], float32."""
    left = rows.astype(np.uint64)[:, None] * np.uint64(2654435761)
    right = columns.astype(np.uint64) * np.uint64(40503)
    return ((left ^ right) & np.uint64(0xFFFFFF)).astype(np.float32)


def splitmix64(seeds: np.ndarray) -> np.ndarray:
    z = seeds.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def text_bytes(rows: np.ndarray, column: int) -> tuple[np.ndarray, np.ndarray]:
    """-> bytes [rows, 40], of which the first `lengths` [rows] of each row count."""
    seeds = rows.astype(np.uint64) * np.uint64(8) + np.uint64(column)
    nibbles = splitmix64(seeds)[:, None] >> np.arange(60, -4, -4, dtype=np.uint64)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)[(nibbles & np.uint64(15)).astype(int)]
    lengths = 5 + splitmix64(seeds + np.uint64(4)) % np.uint64(36)
    return np.tile(digits, 3)[:, :TEXT_BYTES_MAX], lengths.astype(np.int64)


def text_array(rows: np.ndarray, column: int) -> pa.Array:
    matrix, lengths = text_bytes(rows, column)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    data = matrix[np.arange(TEXT_BYTES_MAX) < lengths[:, None]]
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(pa.utf8(), len(rows), buffers)


def key_bytes(numbers: np.ndarray) -> np.ndarray:
    """Shape: [keys, 14], uint8: "user:" and nine digits."""
    out = np.empty((len(numbers), UTF8_KEY_BYTES), np.uint8)
    out[:, :5] = np.frombuffer(b"user:", np.uint8)
    rest = numbers.astype(np.uint64)
    for place in range(UTF8_KEY_BYTES - 1, 4, -1):
        out[:, place] = (rest % np.uint64(10) + np.uint64(48)).astype(np.uint8)
        rest = rest // np.uint64(10)
    return out


@dataclass(frozen=True)
class Case:
    """What is asked of a table: how many keys at once, which, and how many are not there."""

    name: str
    table: Table
    keys: int = 1000
    distribution: str = "uniform"
    miss_ratio: float = 0.0

    def draw(self, seed: int, smoke: bool = False) -> "KeySets":
        """Enough sets that their rows do not stay in the processor's caches."""
        count = 2 if smoke else min(2000, max(20, 200_000 // self.keys))
        return _drawn(self, seed, count)


class KeySets:
    """The requests of one case. Numbers from `rows` on are keys that are not there."""

    def __init__(self, case: Case, seed: int, count: int) -> None:
        self.case = case
        random = np.random.default_rng([seed, case.keys, case.table.rows])
        rows, size = case.table.rows, count * case.keys
        numbers = _draw_rows(random, rows, size, case.distribution)
        misses = random.random(size) < case.miss_ratio
        numbers[misses] += np.uint64(rows)
        self.numbers = list(numbers.reshape(count, case.keys))
        self.keys = [case.table.keys(numbers) for numbers in self.numbers]
        self._floats: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def expected_floats(self, index: int) -> np.ndarray:
        """Shape: [keys, float columns read], NaN where the key is not there."""
        if index not in self._floats:
            if sum(values.nbytes for values in self._floats.values()) > EXPECTED_BYTES_MAX:
                self._floats.clear()
            self._floats[index] = self._make_floats(index)
        return self._floats[index]

    def _make_floats(self, index: int) -> np.ndarray:
        numbers = self.numbers[index]
        values = float_values(numbers, np.array(self.case.table.shape.read_floats))
        values[numbers >= self.case.table.rows] = np.nan
        return values

    def expected_texts(self, index: int, column: int) -> list[str | None]:
        numbers = self.numbers[index]
        texts = text_array(numbers, column).to_pylist()
        rows = self.case.table.rows
        return [t if n < rows else None for t, n in zip(texts, numbers.tolist(), strict=True)]


@lru_cache(maxsize=12)
def _drawn(case: Case, seed: int, count: int) -> KeySets:
    """The same sets for every rival, so that what is built from them is built once."""
    return KeySets(case, seed, count)


@lru_cache(maxsize=2)
def _zipf_sums(rows: int) -> np.ndarray:
    return np.cumsum(np.arange(1, rows + 1, dtype=np.float64) ** -ZIPF_EXPONENT)


def _draw_rows(random: np.random.Generator, rows: int, size: int, distribution: str) -> np.ndarray:
    if distribution == "uniform":
        return random.integers(0, rows, size, dtype=np.uint64)
    sums = _zipf_sums(rows)
    ranks = np.searchsorted(sums, random.random(size) * sums[-1]).astype(np.uint64)
    # Popular rows lie anywhere in the table, as they would; the factor is prime, so one to one.
    return ranks * np.uint64(2654435761) % np.uint64(rows)
