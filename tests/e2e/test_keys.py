"""Keys at both doors: who may do what, how it is said, and how the file is read again."""

import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import time

import pyarrow as pa
import pytest
from conftest import ARROW, Server, daemon_path, to_ipc
from pyarrow import flight

SECRETS = {
    name: f"flk_{name}-{hashlib.sha256(name.encode()).hexdigest()}"
    for name in ("reader", "writer", "root", "etl", "nobody", "new")
}
RIGHTS = {
    "reader": "read",
    "writer": "write",
    "root": "admin",
    "etl": "none docs=write tmp_*=admin",
    "nobody": "none",
}
SCHEMA = {"columns": {"id": {"dtype": "utf8", "key": True, "nullable": False}}}
ROWS = pa.table({"id": ["a"]})
FETCH = to_ipc(pa.table({"id": ["a"]}), columns=[])
LEVELS = {"none": 0, "read": 1, "write": 2, "admin": 3}


def line(name: str, rights: str) -> str:
    return f"{name} {hashlib.sha256(SECRETS[name].encode()).hexdigest()} {rights}\n"


def write_keys(path, rights: dict[str, str]) -> None:
    path.write_text("".join(line(name, text) for name, text in rights.items()))
    path.chmod(0o640)


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS[name]}"}


def level(name: str, table: str) -> int:
    role, *grants = RIGHTS[name].split()
    for grant in grants:
        pattern, _, granted = grant.partition("=")
        if pattern == table or (pattern.endswith("*") and table.startswith(pattern[:-1])):
            role = granted
    return LEVELS[role]


# operation id -> (method, path, body, content type, level on the table)
HTTP_CALLS = {
    "create_table": ("PUT", "/api/v1/table/{t}", json.dumps(SCHEMA), "application/json", 3),
    "get_table": ("GET", "/api/v1/table/{t}", None, None, 1),
    "get_schema": ("GET", "/api/v1/table/{t}/schema", None, None, 1),
    "add_column": ("POST", "/api/v1/table/{t}/columns", '{"name":"x"}', "application/json", 3),
    "widen_column": (
        "PATCH",
        "/api/v1/table/{t}/columns/id",
        '{"dtype":"utf8"}',
        "application/json",
        3,
    ),
    "fetch": ("POST", "/api/v1/table/{t}/fetch", FETCH, ARROW, 1),
    "fetch_plan": ("POST", "/v1/{t}", FETCH, ARROW, 1),
    "fetch_plan_underscore": ("POST", "/v1/{t}/_fetch", FETCH, ARROW, 1),
    "query": ("POST", "/query", '{"sql": "FROM {t}"}', "application/json", 1),
    "sql": ("POST", "/api/v1/sql", '{"sql": "FROM {t}"}', "application/json", 1),
    "scan": ("GET", "/api/v1/table/{t}/rows", None, None, 1),
    "write": ("PUT", "/api/v1/table/{t}/write", to_ipc(ROWS), ARROW, 2),
    "delete_rows": ("POST", "/api/v1/table/{t}/delete", '{"keys":["z"]}', "application/json", 2),
    "compact": ("POST", "/api/v1/table/{t}/compact", None, None, 3),
    "roll_back": ("POST", "/api/v1/table/{t}/rollback", None, None, 3),
}
OPEN = {"health", "livez", "readyz", "openapi"}
ANY_KEY = {"metrics", "list_tables"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    write_keys(folder / "keys", RIGHTS)
    flags = ("--keys-file", folder / "keys", "--metrics", "127.0.0.1:0", "--log-requests")
    server = Server(folder / "data", *flags)
    for table in ("docs", "users", "tmp_1"):
        put = server.put(f"/api/v1/table/{table}", SCHEMA, **bearer("root"))
        assert put.status == 201, put
        written = server.put(f"/api/v1/table/{table}/write", ROWS, **bearer("root"))
        assert written.status == 200, written
    yield server
    assert server.get("/health").body == b"OK"
    assert server.stop() == 0
    log = server.log_path.read_text()
    for secret in SECRETS.values():
        assert secret not in log
        assert hashlib.sha256(secret.encode()).hexdigest() not in log


def test_every_route_is_in_this_table(guarded):
    paths = guarded.get("/openapi.json").json["paths"]
    ids = {call["operationId"] for methods in paths.values() for call in methods.values()}
    assert ids == set(HTTP_CALLS) | {"drop_table"} | OPEN | ANY_KEY


@pytest.mark.parametrize("operation", HTTP_CALLS)
def test_http_lets_in_whom_the_file_names(guarded, operation):
    method, path, body, content_type, needed = HTTP_CALLS[operation]
    for table in ("docs", "users", "tmp_1", "absent"):
        target = path.format(t=table)
        if isinstance(sent := body, str):
            sent = body.replace("{t}", table)
        for name in RIGHTS:
            answer = guarded.request(method, target, sent, content_type, **bearer(name))
            if level(name, table) >= needed:
                assert answer.status not in (401, 403), (name, table, answer)
            else:
                role = next(word for word, n in LEVELS.items() if n == level(name, table))
                assert answer.status == 403, (name, table, answer)
                assert f"role {role} on table '{table}'" in answer.error
                assert answer.headers["fletching-error"] == "forbidden"
        for headers in ({}, bearer("new"), {"Authorization": f"Basic {SECRETS['root']}"}):
            answer = guarded.request(method, target, body, content_type, **headers)
            assert answer.status == 401, answer
            assert answer.headers["www-authenticate"] == 'Bearer realm="fletching"'
            assert answer.headers["fletching-error"] == "unauthenticated"
            assert SECRETS["new"] not in answer.error
        if operation == "create_table" and table == "absent":
            drop = f"/api/v1/table/{table}"
            for name in ("reader", "writer", "etl", "nobody"):
                assert guarded.request("DELETE", drop, **bearer(name)).status == 403
            assert guarded.request("DELETE", drop).status == 401
            assert guarded.request("DELETE", drop, **bearer("root")).status == 204


def test_the_other_header_will_do(guarded):
    secret = {"X-API-Key": SECRETS["reader"]}
    assert guarded.get("/api/v1/table/docs", **secret).status == 200
    assert guarded.put("/api/v1/table/docs/write", ROWS, **secret).status == 403


def test_a_list_has_what_the_key_may_read(guarded):
    def names(key: str) -> set[str]:
        return set(guarded.get("/api/v1/table", **bearer(key)).json) - {"absent"}

    assert names("reader") == names("root") == {"docs", "users", "tmp_1"}
    assert names("etl") == {"docs", "tmp_1"}
    assert names("nobody") == set()
    assert guarded.get("/api/v1/table").status == 401


def test_what_needs_no_key(guarded):
    for path in ("/health", "/livez", "/readyz", "/openapi.json"):
        assert guarded.get(path).status == 200
        assert guarded.get(path, **bearer("new")).status == 200


def test_metrics_need_any_key_but_not_on_their_own_port(guarded):
    assert guarded.get("/metrics").status == 401
    page = guarded.get("/metrics", **bearer("nobody")).body.decode()
    counted = re.findall(r'fletching_rejected_requests_total\{reason="(\w+)"\} (\d+)', page)
    assert int(dict(counted)["unauthenticated"]) > 0
    assert "forbidden" in dict(counted)
    host, _, port = guarded.metrics_address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port))
    connection.request("GET", "/metrics")
    assert connection.getresponse().status == 200


def test_a_refused_body_is_not_kept(guarded):
    """A long body without a key is refused at its head."""
    with guarded.socket() as raw:
        raw.sendall(
            b"PUT /api/v1/table/docs/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert raw.recv(1000).startswith(b"HTTP/1.1 401 Unauthorized\r\n")


# What PyArrow makes of the two, of a call without a stream and of others.
FORBIDDEN = (flight.FlightUnauthorizedError, OSError)
UNAUTHENTICATED = (flight.FlightUnauthenticatedError, OSError)


# -- Flight -----------------------------------------------------------------------------------


def flight_calls(client, options, table):
    """name -> (call, level on the table)"""
    path = flight.FlightDescriptor.for_path(table)

    def do_put():
        writer, _ = client.do_put(path, ROWS.schema, options)
        with writer:
            writer.write_table(ROWS)

    def do_exchange():
        schema = pa.schema([("id", pa.string())], metadata={"columns": "[]"})
        writer, reader = client.do_exchange(path, options)
        with writer:
            writer.begin(schema)
            writer.write_batch(pa.record_batch([["a"]], schema=schema))
            reader.read_chunk()

    ticket = flight.Ticket(json.dumps({"table": table, "keys": ["a"], "columns": []}))
    return {
        "GetFlightInfo": (lambda: client.get_flight_info(path, options), 1),
        "GetSchema": (lambda: client.get_schema(path, options), 1),
        "DoGet": (lambda: client.do_get(ticket, options).read_all(), 1),
        "DoExchange": (do_exchange, 1),
        "DoPut": (do_put, 2),
    }


def call_options(secret: str | None, header: bytes = b"authorization") -> flight.FlightCallOptions:
    value = None if secret is None else secret.encode()
    if header == b"authorization" and value is not None:
        value = b"Bearer " + value
    return flight.FlightCallOptions(headers=[] if value is None else [(header, value)])


def test_flight_decides_alike(guarded):
    with flight.connect(f"grpc://{guarded.flight_address}") as client:
        for table in ("docs", "users", "tmp_1", "missing"):
            for name in RIGHTS:
                calls = flight_calls(client, call_options(SECRETS[name]), table)
                for call, needed in calls.values():
                    if level(name, table) < needed:
                        with pytest.raises(FORBIDDEN, match=r"has role .* on table"):
                            call()
                    elif table == "missing":
                        with pytest.raises(KeyError, match="does not exist"):
                            call()
                    else:
                        call()
            for secret in (None, SECRETS["new"], ""):
                for call, _ in flight_calls(client, call_options(secret), table).values():
                    with pytest.raises(UNAUTHENTICATED, match="key") as refused:
                        call()
                    assert SECRETS["new"] not in str(refused.value)


def test_flight_takes_the_other_header_and_lists_what_the_key_may_read(guarded):
    def names(options) -> set[str]:
        flights = client.list_flights(options=options)
        return {info.descriptor.path[0].decode() for info in flights} - {"absent"}

    with flight.connect(f"grpc://{guarded.flight_address}") as client:
        assert names(call_options(SECRETS["etl"], b"x-api-key")) == {"docs", "tmp_1"}
        assert names(call_options(SECRETS["root"])) == {"docs", "users", "tmp_1"}
        with pytest.raises(flight.FlightUnauthenticatedError):
            names(call_options(None))
        with pytest.raises(flight.FlightUnauthenticatedError):
            list(client.list_actions())


# -- the file, and the doors that want one --------------------------------------------------------


def log_events(server, event: str) -> list[dict]:
    lines = server.log_path.read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["event"] == event]


def hang_up(server, event: str) -> dict:
    before = len(log_events(server, event))
    server.signal(signal.SIGHUP)
    deadline = time.monotonic() + 30
    while len(log_events(server, event)) == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return log_events(server, event)[-1]


def test_a_signal_has_the_file_read_again(make_server, tmp_path):
    keys = tmp_path / "keys"
    write_keys(keys, RIGHTS)
    server = make_server("--keys-file", keys)
    assert not log_events(server, "keys_exposed")
    connection = server.connect()

    def status(name: str) -> int:  # on one connection all the time
        connection.request("GET", "/api/v1/table", headers=bearer(name))
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert (status("reader"), status("new")) == (200, 401)
    local = connection.sock.getsockname()
    keys.write_text(line("new", "read"))
    keys.chmod(0o644)
    assert hang_up(server, "keys_loaded")["keys"] == 1
    assert log_events(server, "keys_exposed")[0]["level"] == "warning"
    assert (status("reader"), status("new")) == (401, 200)
    keys.write_text(f"new {SECRETS['new']} read\n")  # the secret where its digest belongs
    kept = hang_up(server, "keys_kept")
    assert kept["level"] == "error"
    assert f"{keys}:1: " in kept["text"]
    keys.unlink()
    hang_up(server, "keys_kept")
    assert (status("reader"), status("new")) == (401, 200)
    assert connection.sock.getsockname() == local
    assert SECRETS["new"] not in server.log_path.read_text()
    assert server.stop() == 0


def test_without_keys_the_signal_ends_the_server(make_server):
    server = make_server("--shutdown-notice", "0ms")
    server.signal(signal.SIGHUP)
    assert server.wait() == 0


def start(tmp_path, *flags) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if not k.startswith("FLETCHING")}
    command = [daemon_path(), "--data-dir", tmp_path / "data", "--http", "127.0.0.1:0"]
    command += ["--flight", "off"] if "--flight" not in flags else []
    return subprocess.run(
        [str(word) for word in [*command, *flags]],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=env,
    )


@pytest.mark.parametrize(
    ("flag", "door"), [("--http", "HTTP"), ("--flight", "Flight"), ("--metrics", "metrics")]
)
@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_a_door_open_to_others_needs_keys_or_a_word(make_server, tmp_path, flag, door, host):
    ended = start(tmp_path, flag, f"{host}:0") if flag != "--http" else start_http(tmp_path, host)
    assert ended.returncode == 1
    assert f"{door} on {host.strip('[]')}" in ended.stderr
    assert "--keys-file" in ended.stderr
    assert "--insecure" in ended.stderr
    assert not (tmp_path / "data").exists()


def start_http(tmp_path, host) -> subprocess.CompletedProcess:
    command = [daemon_path(), "--data-dir", tmp_path / "data", "--http", f"{host}:0"]
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_word_opens_them_and_is_warned_of(make_server):
    server = make_server("--http", "0.0.0.0:0", "--insecure", "--metrics", "0.0.0.0:0")
    assert log_events(server, "insecure")[0]["level"] == "warning"
    server.host = "127.0.0.1"
    assert server.get("/api/v1/table").status == 200
    quiet = make_server("--insecure", folder="other")
    assert not log_events(quiet, "insecure"), "nobody else can reach it"


def test_metrics_for_others_need_a_key(make_server, tmp_path):
    write_keys(tmp_path / "keys", RIGHTS)
    server = make_server("--keys-file", tmp_path / "keys", "--metrics", "0.0.0.0:0")
    port = int(server.metrics_address.rpartition(":")[2])
    for headers, status in (({}, 401), (bearer("nobody"), 200)):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/metrics", headers=headers)
        assert connection.getresponse().status == status


@pytest.mark.parametrize("text", [None, "", "nonsense\n"])
def test_a_file_that_is_no_good_keeps_it_from_starting(make_server, tmp_path, text):
    if text is not None:
        (tmp_path / "keys").write_text(text)
    ended = start(tmp_path, "--keys-file", tmp_path / "keys")
    assert ended.returncode == 1
    assert str(tmp_path / "keys") in ended.stderr
