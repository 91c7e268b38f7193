"""What a rival is: something that loads a table under one of its settings and then answers keys."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rivals.data import KeySets, Shape, Table
from rivals.measure import Slice


@dataclass(frozen=True)
class Setting:
    """One documented way to run a rival, and why it might be the fastest."""

    name: str
    why: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)


class Session:
    """A loaded rival. What is None, it does not do.

    matrix(keys) -> float32 [keys, columns read], NaN where a key is not there.
    frame(keys) -> a DataFrame with the columns read, in the order of the keys.
    raw(sets, seconds) -> a slice over requests built beforehand, replies compared byte by byte.
    """

    matrix: Callable[[list], np.ndarray] | None = None
    frame: Callable[[list], Any] | None = None
    raw: Callable[[KeySets, float], Slice] | None = None
    cpus: set[int] | None = None  # where the client runs; None = anywhere
    load_seconds: float = 0
    memory_bytes: int = 0  # beyond the empty server or process
    disk_bytes: int = 0


class Rival:
    """Subclasses say `name`, `title`, `settings`, and how to open a session."""

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]
    load_rows_per_s: ClassVar[int] = 300_000  # a first guess, for the budget, at ten columns
    note: ClassVar[str] = ""

    def missing(self) -> str | None:
        """Why it cannot run on this machine, with what to install; None when it can."""
        return None

    def rows_max(self, shape: Shape) -> int:
        """More rows than this make no sense for it: memory, or hours of loading."""
        del shape
        return 1 << 62

    def open(self, setting: Setting, table: Table, work: Path) -> AbstractContextManager[Session]:
        """Starts it in the folder `work`, which is its own, and loads the table."""
        raise NotImplementedError

    def setting(self, name: str) -> Setting:
        return next(s for s in self.settings if s.name == name)


def can_import(*names: str) -> str | None:
    """A line that names the packages that are not installed; None when all are."""
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    if not absent:
        return None
    return f"no Python package {', '.join(absent)} (tools/setup.sh rivals)"


def rows_of(ids: list, keys: list) -> tuple[np.ndarray, np.ndarray]:
    """For answers that come in any order and once a key: -> place in the answer of each key
    [keys], and whether it is there [keys]."""
    places = dict(zip(ids, range(len(ids)), strict=True))
    rows = np.fromiter((places.get(key, -1) for key in keys), np.int64, len(keys))
    return rows, rows >= 0


def scatter(values: np.ndarray, rows: np.ndarray, found: np.ndarray) -> np.ndarray:
    """values [answers, columns] -> [keys, columns], NaN where not found."""
    if found.all():
        return values[rows]
    out = np.full((len(rows), values.shape[1]), np.nan, np.float32)
    out[found] = values[rows[found]]
    return out


def chunks(rows: int, size: int) -> Iterator[tuple[int, int]]:
    """(first, count) of pieces of at most `size` rows."""
    for first in range(0, rows, size):
        yield first, min(size, rows - first)


def remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
