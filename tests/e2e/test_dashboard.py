"""deploy/prometheus and deploy/grafana, held against a real Prometheus and a real server."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from pull_node import publish
from pull_node import rows as pulled_rows

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/fletching.json").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
METRIC = re.compile(r"\b(?:fletching|process)_[a-z_]+")


def tool(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is missing; tools/setup.sh dev installs Debian's prometheus"
    return path


def queries() -> dict[str, str]:
    """Expressions by "panel / letter", with Grafana's variables filled in."""
    found = {}
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"].replace("$__rate_interval", "30s")
            text = text.replace("$instance", ".*").replace("$table", ".*")
            assert "$" not in text, text
            found[f"{panel['title']} / {target['refId']}"] = text
    return found


class Prometheus:
    """Debian's, on a free port, scraping some addresses each second."""

    def __init__(self, folder: Path, *targets: str):
        folder.mkdir()
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(DEPLOY / "prometheus/alerts.yml")],
            "scrape_configs": [
                {"job_name": "fletching", "static_configs": [{"targets": [*targets]}]}
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/api/v1/"
        self.log_path = folder / "log"
        self.log = self.log_path.open("wb")
        command = [tool("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
        command += [
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def ask(self, path: str, **parameters: str):
        url = self.url + path + "?" + urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(url, timeout=30) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]

    def values(self, expression: str) -> list[float]:
        """Samples that are numbers."""
        samples = self.ask("query", query=expression)["result"]
        values = [float(sample["value"][1]) for sample in samples]
        return [value for value in values if value == value]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()


@pytest.fixture
def prometheus(make_server, tmp_path):
    """One that watches `server`, which is busy meanwhile, loads a table and has a remote, and a
    replica of it with a cache."""
    publish(tmp_path / "source", "2026-11-20", {"a.parquet": pulled_rows({"k": 1.0})})
    config = tmp_path / "config.yaml"
    table = {
        "source": {"local": {"path": str(tmp_path / "source")}},
        "key": "id",
        "columns": {"id": {"dtype": "utf8"}, "score": {"dtype": "float32"}},
    }
    config.write_text(json.dumps({"tables": {"pulled": table}}))
    remote = f"file://{tmp_path}/remote"
    server = make_server("--metrics", ":0", "--config", str(config), "--remote", remote)
    server.create(
        "t",
        {
            "columns": {
                "k": {"dtype": "utf8", "key": True, "nullable": False},
                "v": {"dtype": "int64"},
            }
        },
    )
    replica = make_server(
        *("--metrics", ":0", "--remote", remote, "--remote-role", "replica"),
        *("--remote-lazy", "true", "--remote-cache", "1GiB", "--memory-budget", "1KiB"),
        folder="replica",
    )
    rows = pa.table({"k": [f"k{n}" for n in range(1000)], "v": list(range(1000))})
    stop = threading.Event()

    def be_busy():
        body = b'{"keys":{"k":["k1","k2","nobody"]},"columns":["v"]}'
        with contextlib.closing(server.connect()) as connection:
            while not stop.wait(0.05):
                connection.request(
                    "POST", "/api/v1/table/t/fetch", body, {"content-type": "application/json"}
                )
                connection.getresponse().read()
                server.write("t", rows.slice(0, 10))
                replica.post("/api/v1/table/t/fetch", json.loads(body))

    server.write("t", rows)
    thread = threading.Thread(target=be_busy)
    thread.start()
    watching = Prometheus(tmp_path / "prometheus", server.metrics_address, replica.metrics_address)
    watching.server = server
    yield watching
    watching.stop()
    stop.set()
    thread.join()


def test_every_query_of_the_dashboard_returns_data(prometheus):
    deadline = time.monotonic() + 90
    empty = queries()
    assert len(empty) > 25
    while empty and time.monotonic() < deadline:
        time.sleep(1)
        with contextlib.suppress(OSError):  # it is still starting
            empty = {title: text for title, text in empty.items() if not prometheus.values(text)}
    assert not empty, prometheus.log_path.read_text()[-2000:]

    # Variables have values, and the alerts are rules that it takes.
    for variable in DASHBOARD["templating"]["list"]:
        if found := re.fullmatch(r"label_values\((\w+), (\w+)\)", variable.get("definition", "")):
            name, label = found.groups()
            assert prometheus.ask(f"label/{label}/values", **{"match[]": name})
    rules = prometheus.ask("rules")["groups"][0]["rules"]
    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in RULES}
    assert {rule["health"] for rule in rules} == {"ok"}
    # All is well here but for the disk, of which nobody knows.
    firing = {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]}
    assert firing <= {"FletchingDiskLow", "FletchingDiskFull"}


def test_every_definition_is_set_and_described():
    definitions = (ROOT / "src/base/metric_names.h").read_text()
    constants = dict(re.findall(r'> (k\w+) = \{\s*"(\w+)"', definitions))
    assert len(constants) > 20
    manual = (ROOT / "docs/operations.md").read_text()
    code = "".join(p.read_text() for p in (ROOT / "src").rglob("*.cc") if "_test" not in p.name)
    code += "".join(p.read_text() for p in (ROOT / "src/api").rglob("*.h"))
    for constant, name in constants.items():
        assert f"metric::{constant}" in code, f"nobody sets {name}"
        assert any(re.match(rf"\| `{name}[{{`]", line) for line in manual.splitlines()), name


def test_every_name_in_dashboard_and_alerts_is_a_metric():
    definitions = (ROOT / "src/base/metric_names.h").read_text()
    known = set(re.findall(r'"((?:fletching|process)_[a-z_]+)"', definitions))
    for text in [*queries().values(), *(rule["expr"] for rule in RULES)]:
        for name in METRIC.findall(text):
            assert name in known or re.sub(r"_(bucket|sum|count)$", "", name) in known, name


def test_every_metric_of_ours_is_on_the_dashboard():
    definitions = (ROOT / "src/base/metric_names.h").read_text()
    shown = " ".join(queries().values())
    for name in re.findall(r'"(fletching_[a-z_]+)"', definitions):
        assert name in shown, name


def test_panels_do_not_overlap():
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert x < 24
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_alerts_fire_when_they_should():
    folder = DEPLOY / "prometheus"
    for command in (
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts_test.yml"],
    ):
        ended = subprocess.run(
            [tool("promtool"), *command], cwd=folder, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_alert_is_seen_to_fire_and_not_to_fire():
    tests = yaml.safe_load((DEPLOY / "prometheus/alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for rule in RULES:
        mine = [case for case in cases if case["alertname"] == rule["alert"]]
        assert any(case["exp_alerts"] for case in mine), rule["alert"]
        # Either at another time, or another series of the same test that must stay quiet.
        assert any(not case["exp_alerts"] for case in mine) or len(mine) == 1, rule["alert"]


def test_every_alert_has_an_entry_in_the_runbook():
    page = (ROOT / "docs/runbook.md").read_text()
    entries = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    assert entries.keys() == {rule["alert"] for rule in RULES}
    for rule in RULES:
        entry = entries[rule["alert"]]
        for part in ("**Means**", "**Look at**", "**Do**"):
            assert part in entry, (rule["alert"], part)
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
