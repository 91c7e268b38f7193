"""What each setting of a table that loads itself does to the table, in one running server."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import ARROW, Server
from pull_node import COLUMNS, publish, rows, until

NOW = datetime.now(UTC)
ROWS = {
    "a.parquet": [("k", 1, NOW, 0.1), ("l", 1, NOW - timedelta(hours=2), 0.2)],
    "b.parquet": [("k", 2, NOW - timedelta(minutes=30), 0.3), ("m", 3, NOW, None)],
}
TYPES = pa.schema(
    {"id": pa.utf8(), "n": pa.int64(), "at": pa.timestamp("us", "UTC"), "score": pa.float64()}
)
ID, SCORE, AT = {"dtype": "utf8"}, {"dtype": "float64"}, {"dtype": "timestamp[us, UTC]"}
FLOAT32 = pa.scalar(0.3, pa.float32()).as_py()


@dataclass
class Case:
    """A table over ROWS, and what of it is read by ids and columns."""

    settings: dict
    keys: dict
    score: list  # None: a null, "no": no such row
    dtype: str = "double"


IDS = {"id": ["k", "l", "m"]}
CASES = {
    # By default the last file wins, whatever its times are.
    "plain": Case({"key": "id", "columns": {"id": ID, "score": SCORE}}, IDS, [0.3, 0.2, None]),
    "compound": Case(
        {"key": ["id", "n"], "columns": {"id": ID, "n": {"dtype": "int64"}, "score": SCORE}},
        {"id": ["k", "k", "l"], "n": [1, 2, 2]},
        [0.1, 0.3, "no"],
    ),
    "rounded": Case(
        {
            "key": ["id"],
            "columns": {"id": ID, "score": {"dtype": "float32", "strict": False}},
        },
        {"id": ["k"]},
        [FLOAT32],
        "float",
    ),
    "newest": Case(
        {"key": ["id"], "event_time": "at", "columns": {"id": ID, "at": AT, "score": SCORE}},
        IDS,
        [0.1, 0.2, None],
    ),
    "aged": Case(
        {
            "key": ["id"],
            "event_time": "at",
            "ttl": "1h",
            "columns": {"id": ID, "at": AT, "score": SCORE},
        },
        IDS,
        [0.1, "no", None],
    ),
    # Counted from the load, where rows have no time of their own.
    "fleeting": Case(
        {"key": ["id"], "ttl": "500ms", "columns": {"id": ID, "score": SCORE}}, IDS, ["no"] * 3
    ),
}
REFUSED = {
    "strict": (
        {"key": ["id"], "columns": {"id": ID, "score": {"dtype": "float32"}}},
        "column 'score'",
    ),
    "mistyped": ({"key": ["id"], "columns": {"id": ID, "score": ID}}, "column 'score'"),
    "not-null": (
        {"key": ["id"], "columns": {"id": ID, "score": SCORE | {"nullable": False}}},
        "column 'score' has a null",
    ),
}


@dataclass
class Lake:
    folder: Path
    server: Server

    def generation(self, table: str) -> str:
        answer = self.server.get(f"/api/v1/table/{table}")
        return answer.json.get("generation", {}).get("name", "") if answer.status == 200 else ""

    def wait_for(self, table: str, date: str) -> None:
        until(
            lambda: self.generation(table).startswith(date),
            lambda: f"{table} of {date}; {self.server.log_path.read_text()[-3000:]}",
        )

    def problem(self, table: str) -> str:
        problems = self.server.get("/health", accept="application/json").json.get("problems", [])
        return next((each for each in problems if each.startswith(f"table '{table}'")), "")


def numbered(first: int, last: int) -> dict[str, pa.Table]:
    return {"a.parquet": rows({f"k{n}": n for n in range(first, last)})}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake")
    files = {
        name: pa.Table.from_arrays([pa.array(c) for c in zip(*values, strict=True)], TYPES.names)
        for name, values in ROWS.items()
    }
    publish(folder / "rows", "2026-11-20", {n: t.cast(TYPES) for n, t in files.items()})
    for source in ("numbers", "polled"):
        publish(folder / source, "2026-11-20", numbered(0, 8))
    tables = {}

    def add(name: str, source: str, settings: dict) -> None:
        where = {"source": {"local": {"path": str(folder / source)}}, "poll_interval": "50ms"}
        tables[name] = where | settings

    for name, case in CASES.items():
        add(name, "rows", case.settings)
    for name, (settings, _) in REFUSED.items():
        add(name, "rows", settings)
    numbers = {"key": ["id"], "columns": COLUMNS}
    add("quick", "polled", numbers)
    add("slow", "polled", numbers | {"poll_interval": "1h"})
    add("half-the-rows", "numbers", numbers)
    add("any-rows", "numbers", numbers | {"min_rows_ratio": 0})
    add("all-rows", "numbers", numbers | {"min_rows_ratio": 1})
    config = folder / "config.yaml"
    config.write_text(json.dumps({"tables": tables}))
    running = Server(folder / "data", "--config", str(config), "--shutdown-notice", "0ms")
    yield Lake(folder, running)
    assert running.stop() == 0


@pytest.mark.parametrize("name", CASES)
def test_settings_of_tables(lake, name):
    case = CASES[name]
    lake.wait_for(name, "2026-11-20")

    def read() -> tuple[list, str]:
        body = {"keys": case.keys, "columns": ["score"]}
        answer = lake.server.post(f"/api/v1/table/{name}/fetch", body, accept=ARROW)
        assert answer.status == 200, answer
        found = {row["_idx"]: row["score"] for row in answer.table.to_pylist()}
        scores = [found.get(n, "no") for n in range(len(case.keys["id"]))]
        return scores, str(answer.table.schema.field("score").type)

    until(lambda: read() == (case.score, case.dtype), lambda: f"{case.score}, but {read()}", 10)
    assert lake.problem(name) == ""


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_these_rows_do_not_fit(lake, name):
    _, words = REFUSED[name]
    until(lambda: words in lake.problem(name), lambda: lake.problem(name))
    assert lake.generation(name) == ""


def test_how_far_a_table_may_shrink(lake):
    for table in ("any-rows", "half-the-rows", "all-rows"):
        lake.wait_for(table, "2026-11-20")
    # Five of eight: more than half of them, which is enough by default.
    publish(lake.folder / "numbers", "2026-11-21", numbered(0, 5))
    for table in ("any-rows", "half-the-rows"):
        lake.wait_for(table, "2026-11-21")
    publish(lake.folder / "numbers", "2026-11-22", numbered(0, 1))
    lake.wait_for("any-rows", "2026-11-22")
    for table, date in (("half-the-rows", "2026-11-21"), ("all-rows", "2026-11-20")):
        until(lambda t=table: "min_rows_ratio" in lake.problem(t), lambda t=table: lake.problem(t))
        assert lake.generation(table).startswith(date)


def test_how_often_a_source_is_looked_at(lake):
    """One table has seen two generations more; the other looks once an hour."""
    lake.wait_for("slow", "2026-11-20")
    for date in ("2026-11-21", "2026-11-22"):
        publish(lake.folder / "polled", date, numbered(0, 9))
        lake.wait_for("quick", date)
    assert lake.generation("slow").startswith("2026-11-20")
    assert lake.problem("slow") == ""
