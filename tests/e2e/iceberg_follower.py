"""A server that follows an Iceberg table, for tests."""

import json
import sys
from pathlib import Path
from typing import Any

import fletching
import pytest
from iceberg_tables import Warehouse
from pull_node import Node, until

COLUMNS = {"id": {"dtype": "utf8"}, "score": {"dtype": "float32"}}


class Follower(Node):
    """A server whose table `docs` follows an Iceberg table."""

    def __init__(self, folder, warehouse: Warehouse, iceberg: dict, env: dict, **settings):
        if warehouse.gateway is not None:
            env = {**warehouse.gateway.env, **env}
            iceberg = {"endpoint": warehouse.gateway.endpoint, "region": "us-east-1", **iceberg}
        table = {
            "source": {"iceberg": iceberg},
            "poll_interval": "200ms",
            "key": ["id"],
            "columns": COLUMNS,
            "min_rows_ratio": 0,
        } | settings
        super().__init__(folder, json.dumps({"tables": {"docs": table}}), env)

    def follow(self, table) -> str:
        """Waits for the table's current snapshot."""
        table.refresh()
        shown = f"{table.current_snapshot().snapshot_id}@{table.metadata.current_schema_id}"
        return self.wait_for(shown)

    def values(self, keys, *columns: str) -> dict:
        body = {"keys": list(keys), "columns": list(columns)}
        answer = self.server.post("/api/v1/table/docs/fetch", body)
        assert answer.status == 200, answer
        by_column = (answer.json["columns"][name] for name in columns)
        return dict(zip(keys, zip(*by_column, strict=True), strict=True))

    def row_count(self) -> int:
        return self.info()["row_count"]

    def problem(self, words: str) -> str:
        """Waits for a problem that says this."""

        def said():
            return next((each for each in self.problems() if words in each), "")

        return until(said, lambda: f"{words}; {self.problems()}; {self.log()[-2000:]}")


@pytest.fixture
def follow(tmp_path):
    started: list[Follower] = []

    def make(
        warehouse: Warehouse,
        table: Any,
        iceberg: dict | None = None,
        env: dict[str, str] | None = None,
        **settings: Any,
    ) -> Follower:
        iceberg = iceberg or {}
        if not {"metadata", "table"} & set(iceberg):
            iceberg = {"metadata": table.location(), **iceberg}
        package = str(Path(fletching.__file__).parents[1])
        python = {"FLETCHING_PYTHON": sys.executable, "PYTHONPATH": package, **(env or {})}
        started.append(Follower(tmp_path, warehouse, iceberg, python, **settings))
        return started[-1]

    yield make
    for each in started:
        assert each.server.stop() in (0, -9)  # some tests kill it
