"""Lance by key: a dataset on disk with a scalar index, and its `take` by row as the best case."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rivals.data import Table
from rivals.rival import Rival, Session, Setting, can_import, rows_of, scatter
from rivals.rival_frames import private_now


class LanceSession(Session):
    def __init__(self, dataset: Any, setting: Setting, table: Table) -> None:
        self.dataset, self.names = dataset, table.shape.read_names
        self.floats = len(table.shape.read_floats)
        self.places: dict | None = None
        if setting.name == "take":
            keys = table.keys(np.arange(table.rows, dtype=np.uint64))
            self.places = dict(zip(keys, range(table.rows), strict=True))
        self.frame = self._frame
        self.matrix = None if table.shape.text_count else self._matrix

    def _read(self, keys: list) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        if self.places is not None:
            rows = np.fromiter((self.places.get(key, -1) for key in keys), np.int64, len(keys))
            found = rows >= 0
            wanted = rows[found]
            if len(wanted) == 0:
                return self.dataset.schema.empty_table().select(self.names), rows, found
            answer = self.dataset.take(wanted, columns=self.names)
            return answer, np.where(found, np.cumsum(found) - 1, -1), found
        unique = dict.fromkeys(keys)
        words = map(str, unique) if isinstance(keys[0], int) else (f"'{key}'" for key in unique)
        answer = self.dataset.to_table(
            columns=["id", *self.names], filter=f"id IN ({', '.join(words)})"
        )
        return answer, *rows_of(answer["id"].to_pylist(), keys)

    def _values(self, answer: pa.Table, rows: np.ndarray, found: np.ndarray) -> np.ndarray:
        floats = [answer[name].to_numpy() for name in self.names[: self.floats]]
        return scatter(np.stack(floats, axis=1), rows, found)

    def _matrix(self, keys: list) -> np.ndarray:
        return self._values(*self._read(keys))

    def _frame(self, keys: list) -> Any:
        import pandas as pd

        answer, rows, found = self._read(keys)
        values = self._values(answer, rows, found)
        frame = pd.DataFrame(values, columns=self.names[: self.floats])
        for name in self.names[self.floats :]:
            texts = answer[name].to_pylist()
            taken = zip(rows.tolist(), found.tolist(), strict=True)
            frame[name] = [texts[row] if here else None for row, here in taken]
        return frame


class Lance(Rival):
    name = "lance"
    title = "Lance, by key"
    load_rows_per_s = 800_000
    settings = (
        Setting("btree", "a BTREE index on the key; filter id IN (list)", {"index": "BTREE"}),
        Setting("bitmap", "a BITMAP index, a bitmap for each key", {"index": "BITMAP"}),
        Setting("zonemap", "least and greatest key of each zone", {"index": "ZONEMAP"}),
        Setting("take", "rows by number, from a dict in Python: no index of Lance's is faster"),
    )

    def missing(self) -> str | None:
        return can_import("lance")

    @contextlib.contextmanager
    def open(self, setting: Setting, table: Table, work: Path) -> Iterator[LanceSession]:
        import lance

        empty, start = private_now(), time.monotonic()
        rows = pa.RecordBatchReader.from_batches(table.schema, table.batches())
        dataset = lance.write_dataset(rows, str(work / "data.lance"))
        if "index" in setting.options:
            dataset.create_scalar_index("id", setting.options["index"])
        session = LanceSession(dataset, setting, table)
        session.load_seconds = time.monotonic() - start
        session.memory_bytes = max(0, private_now() - empty)
        yield session
