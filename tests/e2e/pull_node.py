"""A server whose table follows a source, and the files that are put there."""

import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Server

COLUMNS = {"id": {"dtype": "utf8"}, "score": {"dtype": "float32"}}


def rows(scores: dict[str, float], **extra: list) -> pa.Table:
    values = pa.array(list(scores.values()), pa.float32())
    return pa.table({"id": list(scores), "score": values, **extra})


def publish(source: Path, date: str, files: dict[str, pa.Table], complete: bool = True) -> Path:
    folder = source / date
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in files.items():
        pq.write_table(table, folder / name)
    if complete:
        (folder / "_SUCCESS").touch()
    return folder


def until(condition, what, seconds: float = 60):
    """The first true answer of `condition`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.02)
    said = what() if callable(what) else what
    raise AssertionError(f"this did not come about in {seconds} s: {said}")


class Node:
    """A server whose table `docs` follows a folder."""

    def __init__(
        self,
        folder: Path,
        config: str | None = None,
        env: dict[str, str] | None = None,
        **settings,
    ):
        self.folder, self.source, self.env = folder, folder / "source", env
        self.source.mkdir(exist_ok=True)
        table = {
            "source": {"local": {"path": str(self.source)}},
            "poll_interval": "50ms",
            "key": ["id"],
            "columns": COLUMNS,
        } | settings
        self.config = folder / "config.yaml"
        self.config.write_text(config or json.dumps({"tables": {"docs": table}}))
        self.server = self.start()

    def start(self) -> Server:
        self.server = Server(self.folder / "data", "--config", str(self.config), env=self.env)
        return self.server

    def info(self) -> dict:
        answer = self.server.get("/api/v1/table/docs")
        return answer.json if answer.status == 200 else {}

    def generation(self) -> str:
        return self.info().get("generation", {}).get("name", "")

    def wait_for(self, date: str, other_than: str = "") -> str:
        def shown():
            name = self.generation()
            return name if name.startswith(date) and name != other_than else ""

        return until(shown, lambda: f"a generation of {date}; {self.log()[-2000:]}")

    def scores(self, *keys: str) -> list[float | None]:
        body = {"keys": list(keys), "columns": ["score"]}
        answer = self.server.post("/api/v1/table/docs/fetch", body)
        assert answer.status == 200, answer
        return answer.json["columns"]["score"]

    def problems(self) -> list[str]:
        answer = self.server.get("/health", accept="application/json")
        assert answer.status == 200
        document = answer.json
        assert document["status"] == ("degraded" if document.get("problems") else "ok")
        return document.get("problems", [])

    def log(self) -> str:
        return self.server.log_path.read_text()

    def events(self, name: str) -> list[dict]:
        lines = (json.loads(line) for line in self.log().splitlines())
        return [line for line in lines if line["event"] == name]


@pytest.fixture
def node(tmp_path):
    nodes = []

    def make(**settings) -> Node:
        nodes.append(Node(tmp_path, **settings))
        return nodes[-1]

    yield make
    for each in nodes:
        each.server.stop()
