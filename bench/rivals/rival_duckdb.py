"""DuckDB in this process: keys joined with a table, or looked up in its index."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rivals.data import Shape, Table
from rivals.rival import Rival, Session, Setting, can_import, rows_of, scatter
from rivals.rival_frames import private_now


class DuckSession(Session):
    def __init__(self, connection: Any, setting: Setting, table: Table) -> None:
        self.connection, self.table = connection, table
        self.names = table.shape.read_names
        self.source = setting.options.get("source", "t")
        self.by_list = setting.options.get("by_list", False)
        self.key_type = table.schema.field("id").type
        self.frame = self._frame
        self.matrix = None if table.shape.text_count else self._matrix

    def _query(self, keys: list, columns: str) -> Any:
        if self.by_list:
            words = map(str, keys) if isinstance(keys[0], int) else (f"'{key}'" for key in keys)
            sql = f"SELECT id, {columns} FROM {self.source} WHERE id IN ({', '.join(words)})"
            return self.connection.execute(sql)
        import pyarrow as pa

        wanted = pa.table({"id": pa.array(keys, self.key_type)})
        self.connection.register("wanted", wanted)
        sql = f"SELECT t.id, {columns} FROM wanted JOIN {self.source} t USING (id)"
        return self.connection.execute(sql)

    def _columns(self, keys: list) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        answer = self._query(keys, ", ".join(self.names)).to_arrow_table()
        rows, found = rows_of(answer["id"].to_pylist(), keys)
        floats = [answer[name].to_numpy() for name in self.names if name.startswith("f")]
        return answer, scatter(np.stack(floats, axis=1), rows, found), np.where(found, rows, -1)

    def _matrix(self, keys: list) -> np.ndarray:
        return self._columns(keys)[1]

    def _frame(self, keys: list) -> Any:
        import pandas as pd

        answer, values, rows = self._columns(keys)
        frame = pd.DataFrame(values, columns=self.names[: values.shape[1]])
        for name in self.names[values.shape[1] :]:
            texts = answer[name].to_pylist()
            frame[name] = [texts[row] if row >= 0 else None for row in rows.tolist()]
        return frame


class DuckDb(Rival):
    name = "duckdb"
    title = "DuckDB 1.5, by key"
    load_rows_per_s = 500_000
    settings = (
        Setting("art_list", "primary key, so an ART; WHERE id IN (list)", {"by_list": True}),
        Setting("join", "table in key order, no index: a hash join whose filter prunes the scan"),
        Setting("art_join", "the same join beside a primary key", {"key": True}),
        Setting("parquet_join", "Parquet in key order, one scan a request", {"source": "parquet"}),
    )

    def missing(self) -> str | None:
        return can_import("duckdb")

    def rows_max(self, shape: Shape) -> int:
        return 6_000_000_000 // (4 * shape.float_count + 60)

    @contextlib.contextmanager
    def open(self, setting: Setting, table: Table, work: Path) -> Iterator[DuckSession]:
        import duckdb

        empty, start = private_now(), time.monotonic()
        connection = duckdb.connect(str(work / "data.duckdb"))
        options = dict(setting.options)
        try:
            # An index scan gives up above the larger of these two.
            connection.execute("SET index_scan_max_count = 100000")
            connection.execute("SET index_scan_percentage = 1.0")
            self._load(connection, table, has_key=setting.name.startswith("art"))
            if options.get("source") == "parquet":
                path = work / "data.parquet"
                connection.execute(f"COPY t TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 100000)")
                connection.execute("DROP TABLE t")
                options["source"] = f"read_parquet('{path}')"
            connection.execute("CHECKPOINT")
            session = DuckSession(connection, Setting(setting.name, "", options), table)
            session.load_seconds = time.monotonic() - start
            session.memory_bytes = max(0, private_now() - empty)
            yield session
        finally:
            connection.close()

    def _load(self, connection: Any, table: Table, has_key: bool) -> None:
        import pyarrow as pa

        kind = "VARCHAR" if table.key_type == "utf8" else "BIGINT"
        columns = [f"id {kind}{' PRIMARY KEY' if has_key else ''}"]
        columns += [f"{name} FLOAT" for name in table.shape.names[: table.shape.float_count]]
        columns += [f"{name} VARCHAR" for name in table.shape.names[table.shape.float_count :]]
        connection.execute(f"CREATE TABLE t ({', '.join(columns)})")
        rows = pa.RecordBatchReader.from_batches(table.schema, table.batches())
        connection.register("rows", rows)
        connection.execute("INSERT INTO t SELECT * FROM rows")
        connection.unregister("rows")
