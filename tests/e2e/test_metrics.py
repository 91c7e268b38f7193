"""/metrics: requests move the counters they should, and no other; promtool finds no fault."""

import contextlib
import http.client
import shutil
import subprocess
import time

import pyarrow as pa
import pytest
from metrics_page import parse_page

SCHEMA = {
    "columns": {
        "k": {"dtype": "utf8", "key": True, "nullable": False},
        "v": {"dtype": "int64"},
    }
}
FETCH = "/api/v1/table/{name}/fetch"
WRITE = "/api/v1/table/{name}/write"
DELETE = "/api/v1/table/{name}/delete"
TABLE = "/api/v1/table/{name}"
# They move while nobody asks.
RESTLESS = ("process_", "fletching_disk_", "fletching_inflight_requests", "fletching_table_")


def scrape(server, address: str | None = None) -> dict[str, float]:
    """The page, from a port of its own where there is one."""
    address = address or server.metrics_address or server.address
    with contextlib.closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.getheader("content-type") == "text/plain; version=0.0.4; charset=utf-8"
        return parse_page(answer.read().decode())


def request_key(route: str, method: str, code: int) -> str:
    return f'fletching_http_requests_total{{code="{code}",method="{method}",route="{route}"}}'


def duration_key(route: str) -> str:
    return f'fletching_http_request_duration_seconds_count{{route="{route}"}}'


def stage_key(stage: str) -> str:
    return f'fletching_stage_duration_seconds_count{{door="http",stage="{stage}"}}'


def keys_key(result: str, table: str = "t") -> str:
    return f'fletching_fetch_keys_total{{result="{result}",table="{table}"}}'


def counts(page: dict[str, float]) -> dict[str, float]:
    """Without buckets, sums of times, what moves by itself, and the scrapes themselves."""
    return {
        key: value
        for key, value in page.items()
        if "_bucket{" not in key
        and "_seconds_sum" not in key
        and not key.startswith(RESTLESS)
        and 'route="/metrics"' not in key
    }


def changes_since(server, before: dict[str, float], expected: dict[str, float]) -> dict:
    """What moved. An answer is out a moment before it is counted, so this waits for `expected`."""
    deadline = time.monotonic() + 20
    while True:
        after = counts(scrape(server))
        moved = {
            key: after.get(key, 0) - before.get(key, 0)
            for key in sorted(after.keys() | before.keys())
            if after.get(key) != before.get(key)
        }
        if moved == expected or time.monotonic() > deadline:
            return moved
        time.sleep(0.01)


@pytest.fixture(scope="module")
def metrics_server(tmp_path_factory):
    from conftest import Server

    running = Server(tmp_path_factory.mktemp("metrics") / "data", "--metrics", ":0")
    yield running
    assert running.stop() == 0


def written(count: float, table: str = "t") -> dict[str, float]:
    return {f'fletching_rows_written_total{{table="{table}"}}': count}


READ_STAGES = {stage_key(stage): 1 for stage in ("parse", "read", "render")}
WRITE_STAGES = {stage_key(stage): 1 for stage in ("write_parse", "write_commit")}

# name, method, path, body, {what moves: by how much} besides the request itself, route, code
CASES = [
    ("fetch", "POST", "/api/v1/table/t/fetch", {"keys": {"k": ["a", "b", "x"]}, "columns": ["v"]},
     {**READ_STAGES, keys_key("hit"): 2, keys_key("miss"): 1}, FETCH, 200),
    ("fetch of none that is there", "POST", "/api/v1/table/t/fetch",
     {"keys": {"k": ["x"]}, "columns": ["v"]}, {**READ_STAGES, keys_key("miss"): 1}, FETCH, 200),
    ("older route", "POST", "/v1/t", {"keys": ["a"], "columns": ["v"]},
     {**READ_STAGES, keys_key("hit"): 1}, "/v1/{name}", 200),
    ("unknown column", "POST", "/api/v1/table/t/fetch", {"keys": {"k": ["a"]}, "columns": ["no"]},
     {stage_key("parse"): 1}, FETCH, 400),
    ("no such table", "POST", "/api/v1/table/none/fetch", {"keys": {"k": ["a"]}, "columns": ["v"]},
     {}, FETCH, 404),
    ("malformed", "POST", "/api/v1/table/t/fetch", b"{", {}, FETCH, 400),
    ("write", "PUT", "/api/v1/table/t/write", {"columns": {"k": ["a", "c"], "v": [5, 6]}},
     {**WRITE_STAGES, **written(2)}, WRITE, 200),
    ("refused write", "PUT", "/api/v1/table/t/write", {"columns": {"k": [None], "v": [5]}},
     {}, WRITE, 400),
    ("delete", "POST", "/api/v1/table/t/delete", {"keys": {"k": ["c"]}},
     WRITE_STAGES, DELETE, 200),
    ("head", "HEAD", "/health", None, {}, "/health", 200),
    ("no route", "GET", "/secret/path?token=1", None, {}, "none", 404),
    ("wrong method", "POST", "/health", None, {}, "none", 405),
    ("strange method", "BREW", "/health", None, {}, "none", 405),
    ("scan", "GET", "/api/v1/table/t/rows", None, {}, "/api/v1/table/{name}/rows", 200),
]  # fmt: skip


@pytest.fixture(scope="module")
def filled(metrics_server):
    metrics_server.create("t", SCHEMA)
    metrics_server.write("t", {"columns": {"k": ["a", "b"], "v": [1, 2]}})
    return metrics_server


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_a_request_moves_what_it_should_and_nothing_else(filled, case):
    _, method, path, body, moved, route, code = case
    # What the test before did may still be on its way into the counters.
    filled.get("/livez")
    settled = counts(scrape(filled))
    while (again := counts(scrape(filled))) != settled:
        settled = again
    before = settled
    answer = filled.request(method, path, body, content_type="application/json" if body else None)
    assert answer.status == code, answer
    label = method if method != "BREW" else "other"
    expected = {request_key(route, label, code): 1, duration_key(route): 1, **moved}
    assert changes_since(filled, before, expected) == expected


def test_tables_come_and_go(filled):
    filled.create("passing", SCHEMA)
    filled.write("passing", {"columns": {"k": ["a"], "v": [1]}})
    page = scrape(filled)
    assert page['fletching_table_rows{table="passing"}'] == 1
    assert page['fletching_table_healthy{table="passing"}'] == 1
    assert page['fletching_table_segments{table="passing"}'] == 0
    assert page['fletching_table_bytes{table="passing",tier="memory"}'] > 0
    assert page[keys_key("hit", "passing")] == 0
    assert filled.request("DELETE", "/api/v1/table/passing").status == 204
    assert not [key for key in scrape(filled) if "passing" in key]
    filled.create("passing", SCHEMA)
    assert scrape(filled)['fletching_rows_written_total{table="passing"}'] == 0
    assert filled.request("DELETE", "/api/v1/table/passing").status == 204


def test_segments_and_compactions(make_server):
    server = make_server()
    server.create("t", SCHEMA)
    rows = pa.table({"k": [f"k{n}" for n in range(1000)], "v": list(range(1000))})
    for _ in range(2):
        server.write("t", rows)
        assert server.post("/api/v1/table/t/compact").status == 200
    page = scrape(server)
    assert page["fletching_compactions_total"] >= 1
    assert page['fletching_table_segments{table="t"}'] == 1
    assert page['fletching_table_rows{table="t"}'] == 1000
    assert page['fletching_table_bytes{table="t",tier="disk"}'] > 1000
    assert page['fletching_rows_written_total{table="t"}'] == 2000
    # Counters of a new process begin anew; what the table holds does not.
    server.stop()
    page = scrape(make_server())
    assert page["fletching_compactions_total"] == 0
    assert page['fletching_table_rows{table="t"}'] == 1000


def test_histograms_count_every_request_once(filled):
    page = scrape(filled)
    families = {key.split("_bucket{")[0] for key in page if "_bucket{" in key}
    assert families == {
        "fletching_http_request_duration_seconds",
        "fletching_stage_duration_seconds",
    }
    for key, total in page.items():
        if "_seconds_count" not in key:
            continue
        name, labels = key.split("_count")
        buckets = [
            value
            for other, value in page.items()
            if other.startswith(name + "_bucket{")
            and all(f in other for f in labels[1:-1].split(","))
        ]
        assert len(buckets) == 18
        assert buckets == sorted(buckets)
        assert buckets[-1] == total
        assert page[name + "_sum" + labels] >= 0


def test_nothing_is_lost_when_many_ask(filled, run_threads):
    before = counts(scrape(filled))
    body = b'{"keys":{"k":["a","b","x"]},"columns":["v"]}'
    threads, rounds = 8, 100

    def ask():
        with contextlib.closing(filled.connect()) as connection:
            for n in range(rounds):
                connection.request(
                    "POST", "/api/v1/table/t/fetch", body, {"content-type": "application/json"}
                )
                assert connection.getresponse().read()
                if n % 20 == 0:
                    scrape(filled)

    run_threads(*[ask] * threads)
    total = threads * rounds
    expected = {
        request_key(FETCH, "POST", 200): total,
        duration_key(FETCH): total,
        **{key: total for key in READ_STAGES},
        keys_key("hit"): 2 * total,
        keys_key("miss"): total,
    }
    assert changes_since(filled, before, expected) == expected


def wait_for_inflight(server, count: int) -> None:
    deadline = time.monotonic() + 20
    while scrape(server)["fletching_inflight_requests"] != count + 1:  # the scrape is one, too
        assert time.monotonic() < deadline


REJECTED = 'fletching_rejected_requests_total{{reason="too_many_{}"}}'.format


def test_requests_that_are_turned_away_are_counted(make_server):
    server = make_server("--metrics", ":0", "--limits-requests", "1")
    server.create("t", SCHEMA)
    assert scrape(server)[REJECTED("requests")] == 0
    wait_for_inflight(server, 0)  # the slot of the answer before is free a moment later
    with server.socket() as held:  # its body is still awaited
        held.sendall(
            b"PUT /api/v1/table/t/write HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{"
        )
        wait_for_inflight(server, 1)
        assert server.get("/api/v1/table").status == 503
        # Always served, and never counted as turned away.
        assert server.get("/metrics").status == 200
        assert scrape(server)[REJECTED("requests")] == 1
    wait_for_inflight(server, 0)
    assert scrape(server)[REJECTED("requests")] == 1


def test_connections_that_are_turned_away_are_counted(make_server):
    server = make_server("--metrics", ":0", "--limits-connections", "1")
    with server.socket() as first:
        first.sendall(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        assert first.recv(1000).startswith(b"HTTP/1.1 200")
        assert scrape(server)[REJECTED("connections")] == 0
        with server.socket() as second:
            assert second.recv(1000).startswith(b"HTTP/1.1 503")
        assert scrape(server)[REJECTED("connections")] == 1


def test_the_port_of_its_own_has_nothing_else(filled):
    host, _, port = filled.metrics_address.rpartition(":")
    assert host == "127.0.0.1"

    def ask(method: str, path: str) -> int:
        with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=60)) as there:
            there.request(method, path)
            return there.getresponse().status

    assert ask("GET", "/metrics") == 200
    assert ask("HEAD", "/metrics") == 200
    assert ask("POST", "/metrics") == 405
    for path in ("/", "/health", "/api/v1/table", "/openapi.json", "/metrics/", "/metricsx"):
        assert ask("GET", path) == 404
    # Both show the same.
    assert scrape(filled, filled.address).keys() >= counts(scrape(filled)).keys()


def test_without_a_port_of_its_own(make_server, tmp_path):
    from conftest import daemon_path

    server = make_server()
    assert server.metrics_address is None
    assert scrape(server)['fletching_build_info{version="0.1.0"}'] == 1
    taken = [daemon_path(), "--data-dir", tmp_path / "x", "--http", "127.0.0.1:0"]
    taken += ["--metrics", server.address]
    ended = subprocess.run(taken, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "in use" in ended.stderr


def test_a_damaged_table_shows(make_server):
    server = make_server()
    server.create("good", SCHEMA)
    server.create("bad", SCHEMA)
    server.stop()
    folders = sorted(path for path in (server.folder / "tables").iterdir() if path.is_dir())
    manifest = next(folders[-1].glob("*.flman"))
    manifest.write_bytes(manifest.read_bytes()[:-20])
    page = scrape(make_server())
    healthy = {key: v for key, v in page.items() if key.startswith("fletching_table_healthy")}
    assert sorted(healthy.values()) == [0, 1]
    assert page['fletching_table_healthy{table="good"}'] == 1


def test_promtool_finds_no_fault(filled):
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing; tools/setup.sh dev installs Debian's prometheus"
    page = filled.get("/metrics").body
    ended = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
