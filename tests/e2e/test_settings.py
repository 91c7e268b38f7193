"""Settings of fletchingd whose effect no other test sees, and where each of all the others is seen.

SEEN names for every setting the test that would fail if a running server did not heed it. A setting
that comes without one fails test_every_setting_is_seen_somewhere.
"""

import json
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from conftest import ARROW, ROOT, Server, daemon_path
from fault_proxy import FaultProxy
from pull_node import until
from s3_gateway import BUCKET, Gateway, s3_server
from test_program import run
from test_remote import SCHEMA, Remote, events, lag_of, rows, value_of

__all__ = ["s3_server"]

ICEBERG = "test_iceberg.py::test_a_table_may_be_named_by_its_metadata_file_or_by_a_catalog"

# By flag.
SEEN = {
    "--help": "test_program.py::test_help_and_version",
    "--version": "test_program.py::test_help_and_version",
    "--config": "test_program.py::test_a_file_an_environment_and_flags_together",
    "--promote": "test_remote.py::test_acknowledged_remote_means_that_a_new_node_has_it",
    "--data-dir": "test_dialects.py::test_our_own",
    "--memory-budget": "test_memory_budget.py::test_rows_that_have_no_room_are_read_from_the_disk",
    "--http": "test_program.py::test_ipv6_and_a_port_of_ones_own",
    "--http-threads": "test_settings.py::test_threads",
    "--http-write-threads": "test_settings.py::test_threads",
    "--metrics": "test_metrics.py::test_the_port_of_its_own_has_nothing_else",
    "--flight": "test_flight_server.py::test_ipv6",
    "--limits-body": "test_limits.py::test_bodies_beyond_their_limit_are_413",
    "--limits-json-body": "test_limits.py::test_bodies_beyond_their_limit_are_413",
    "--limits-keys-body": "test_limits.py::test_bodies_beyond_their_limit_are_413",
    "--limits-header": "test_settings.py::test_the_longest_header",
    "--limits-connections": "test_limits.py::test_more_connections_than_allowed_are_503",
    "--limits-requests": "test_limits.py::test_more_requests_than_allowed_are_503",
    "--limits-header-time": "test_limits.py::test_a_dribbled_header_does_not_extend_its_time",
    "--limits-stall-time": "test_limits.py::test_a_client_that_never_reads_is_cut",
    "--limits-idle-time": "test_settings.py::test_the_time_between_requests",
    "--keys-file": "test_keys.py::test_http_lets_in_whom_the_file_names",
    "--insecure": "test_keys.py::test_a_word_opens_them_and_is_warned_of",
    "--tls-cert": "test_tls.py::test_old_versions_and_plain_text_are_refused",
    "--tls-key": "test_tls.py::test_files_that_do_not_fit_keep_it_from_starting",
    "--shutdown-notice": "test_settings.py::test_the_time_to_end",
    "--shutdown-grace": "test_settings.py::test_the_time_to_end",
    "--remote": "test_remote.py::test_a_replica_with_an_empty_disk_serves_and_follows",
    "--remote-endpoint": "test_settings.py::test_where_the_remote_is",
    "--remote-region": "test_settings.py::test_where_the_remote_is",
    "--remote-role": "test_remote.py::test_a_replica_with_an_empty_disk_serves_and_follows",
    "--remote-acknowledge": "test_settings.py::test_how_long_a_write_waits_for_the_remote",
    "--remote-acknowledge-time": "test_settings.py::test_how_long_a_write_waits_for_the_remote",
    "--remote-cache": "test_cache.py::test_the_budget_holds_and_answers_are_right",
    "--remote-lazy": "test_cache.py::test_a_lazy_replica_fetches_the_rows_that_are_read",
    "--remote-publish-interval": "test_settings.py::test_intervals_of_writer_and_replica",
    "--remote-poll-interval": "test_settings.py::test_intervals_of_writer_and_replica",
    "--remote-keep-deleted": "test_remote.py::test_what_nothing_names_any_more_is_removed_later",
    "--sql-queries": "test_sql.py::test_one_too_many",
    "--sql-memory": "test_sql.py::test_memory_and_what_is_spilled",
    "--sql-threads": "test_sql.py::test_threads_and_time",
    "--sql-timeout": "test_sql.py::test_threads_and_time",
    "--sql-library": "test_sql.py::test_without_sql_and_without_duckdb",
    "--compat-schema": "test_settings.py::test_how_schemas_are_shown",
    "--log-level": "test_settings.py::test_how_much_is_logged",
    "--log-requests": "test_program.py::test_a_file_an_environment_and_flags_together",
}

# By the name in a file of an older program, and the short form of ours.
DIALECTS = {
    "remote": "test_settings.py::test_the_short_form_of_the_remote",
    "server.host": "test_settings.py::test_hosts_and_limits_of_older_files",
    "server.port": "test_dialects.py::test_the_plan_of_the_older_generation",
    "server.data_dir": "test_dialects.py::test_the_plan_of_the_older_generation",
    "server.http.host": "test_settings.py::test_hosts_and_limits_of_older_files",
    "server.http.port": "test_dialects.py::test_the_newer_generation",
    "server.http.max_payload_size": "test_settings.py::test_hosts_and_limits_of_older_files",
    "server.grpc.host": "test_settings.py::test_hosts_and_limits_of_older_files",
    "server.grpc.port": "test_dialects.py::test_the_newer_generation",
    "storage.path": "test_dialects.py::test_the_newer_generation",
    "storage.mmap": "test_settings.py::test_what_shaped_other_files_changes_nothing",
    "storage.mmap.*": "test_dialects.py::test_the_newer_generation",
    "storage.block": "test_settings.py::test_what_shaped_other_files_changes_nothing",
    "storage.block.*": "test_dialects.py::test_the_newer_generation",
}

# By the place below tables.NAME.
TABLES = {
    "source": "test_table_settings.py::test_settings_of_tables",
    "source.local": "test_table_settings.py::test_settings_of_tables",
    "source.local.path": "test_table_settings.py::test_settings_of_tables",
    "source.s3": "test_dialects.py::test_our_own",
    "source.s3.bucket": "test_dialects.py::test_our_own",
    "source.s3.prefix": "test_dialects.py::test_our_own",
    "source.s3.region": "test_dialects.py::test_our_own",
    "source.s3.endpoint": "test_dialects.py::test_our_own",
    "source.iceberg": ICEBERG,
    "source.iceberg.metadata": ICEBERG,
    "source.iceberg.table": ICEBERG,
    "source.iceberg.catalog": ICEBERG,
    "source.iceberg.region": "test_iceberg.py::test_its_place_and_region",
    "source.iceberg.endpoint": "test_iceberg.py::test_its_place_and_region",
    "source.iceberg.timeout": "test_iceberg_faults.py::test_a_reader_that_is_silent",
    "poll_interval": "test_table_settings.py::test_how_often_a_source_is_looked_at",
    "parts": "test_pull.py::test_parts_are_segments_and_a_changed_schema_loads_again",
    "min_rows_ratio": "test_table_settings.py::test_how_far_a_table_may_shrink",
    "layout": "test_pull_hive.py::test_folders_that_are_declared_are_columns",
    "key": "test_table_settings.py::test_settings_of_tables",
    "ttl": "test_table_settings.py::test_settings_of_tables",
    "event_time": "test_table_settings.py::test_settings_of_tables",
    "columns": "test_table_settings.py::test_settings_of_tables",
    "columns.dtype": "test_table_settings.py::test_settings_of_tables",
    "columns.nullable": "test_table_settings.py::test_settings_that_these_rows_do_not_fit",
    "columns.strict": "test_table_settings.py::test_settings_of_tables",
}


def flags_of_help() -> set[str]:
    return set(re.findall(r"^ +(?:-h,)?(--[a-z-]+)", run(daemon_path(), "--help").stdout, re.M))


def names_in(source: str, pattern: str) -> set[str]:
    found = set(re.findall(pattern, (ROOT / "src/server" / source).read_text()))
    assert found, f"{source} is written otherwise now: {pattern}"
    return found


def test_every_setting_is_seen_somewhere():
    """A setting that is missing here gets a test of what a running server does with it."""
    assert flags_of_help() == SEEN.keys()
    assert names_in("dialects.cc", r'\n    \{"([a-z_.*]+)", ') == DIALECTS.keys()
    members = names_in("table_settings.cc", r'\{"(\w+)",\s*(?:\[|\w+Into)')
    assert members == {path.rpartition(".")[2] for path in TABLES}
    for seen in (SEEN, DIALECTS, TABLES):
        for setting, test in seen.items():
            file, _, name = test.partition("::")
            text = (Path(__file__).parent / file).read_text()
            assert f"def {name}(" in text, f"{setting}: there is no {test}"


def threads_of(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def test_threads(make_server):
    servers = []
    for n, (moving, writing) in enumerate(((1, 2), (4, 2), (1, 7))):
        flags = ["--http-threads", str(moving), "--http-write-threads", str(writing)]
        servers.append(make_server(*flags, "--flight", "off", folder=f"{n}"))

    def more_than_the_first() -> list[int]:
        return [threads_of(server) - threads_of(servers[0]) for server in servers]

    # Others come and go; these stay.
    until(lambda: more_than_the_first() == [0, 3, 5], more_than_the_first, 10)


def test_the_longest_header(make_server):
    server = make_server("--limits-header", "1KiB")
    assert server.get("/health", x_filler="x" * 500).status == 200
    assert server.get("/health", x_filler="x" * 2000).status == 431


def test_the_time_between_requests(make_server):
    server = make_server("--limits-idle-time", "100ms")
    with server.socket(8) as sock:  # by default it would be kept for longer
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        data = b""
        while piece := sock.recv(1000):
            data += piece
        assert data.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("flag", ["--shutdown-notice", "--shutdown-grace"])
def test_the_time_to_end(make_server, flag):
    """Of two servers with a request that never ends, the one with less time is gone first."""
    (other,) = {"--shutdown-notice", "--shutdown-grace"} - {flag}
    servers, held = [], []
    for time_left in ("100ms", "2s"):
        server = make_server(flag, time_left, other, "0ms", folder=time_left)
        sock = server.socket()
        sock.sendall(b"PUT /api/v1/table/t/write HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{")
        until(lambda s=server: inflight(s) > 1, "the request")
        servers.append(server)
        held.append(sock)
    for server in reversed(servers):
        server.signal(signal.SIGTERM)
    assert servers[0].wait() == 0
    assert servers[1].process.poll() is None
    assert servers[1].wait() == 0
    for sock in held:
        sock.close()


def inflight(server: Server) -> float:
    page = server.get("/metrics").body.decode()
    return float(re.search(r"^fletching_inflight_requests (\S+)$", page, re.M)[1])


def test_how_schemas_are_shown(make_server):
    older = {"key": "k", "columns": {"k": {"dtype": "utf8", "nullable": False}}}
    newer = {"columns": {"k": {"dtype": "utf8", "key": True, "nullable": False}}}
    for form, older_has, newer_has in (
        ("created", True, False),
        ("head", False, False),
        ("seed", True, True),
    ):
        server = make_server("--compat-schema", form)
        if form == "created":
            server.create("older", older)
            server.create("newer", newer)
        shown = server.get("/api/v1/table").json
        assert ("key" in shown["older"], "key" in shown["newer"]) == (older_has, newer_has), form
        server.stop()


def test_how_much_is_logged(make_server):
    seen = {}
    for level in ("info", "warning", "error"):
        # An unknown variable is a warning; listening is information.
        env = {"FLETCHING_NONSENSE": "1"}
        server = make_server("--log-level", level, folder=level, env=env)
        server.stop()
        lines = map(json.loads, server.log_path.read_text().splitlines())
        seen[level] = {line["level"] for line in lines}
    assert seen == {"info": {"info", "warning"}, "warning": {"warning"}, "error": set()}


def test_where_the_remote_is(make_server, tmp_path):
    """The environment names another place and region; with those the server would not start."""
    gateway = Gateway(tmp_path / "buckets", region="eu-west-1")
    try:
        gateway.arrow().create_dir(BUCKET)
        env = gateway.env | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1"}
        server = make_server(
            *("--remote", f"s3://{BUCKET}/here", "--remote-acknowledge", "remote"),
            *("--remote-endpoint", gateway.endpoint, "--remote-region", "eu-west-1"),
            env=env,
        )
        server.create("docs", SCHEMA)
        server.write("docs", rows(0, 10, 1))
        assert list((gateway.folder / BUCKET / "here").rglob("*.flseg"))
        server.stop()
    finally:
        gateway.stop()


def test_how_long_a_write_waits_for_the_remote(s3_server, tmp_path):
    """Three writers whose store is away: one does not wait, one gives up, one gets there."""
    proxy = FaultProxy(s3_server.port)
    remotes = [Remote(tmp_path, f"s3://{BUCKET}/waits-{n}", s3_server.env) for n in range(3)]
    levels = [
        {"acknowledge": "local"},
        {"acknowledge": "remote", "acknowledge_time": "300ms"},
        {"acknowledge": "remote", "acknowledge_time": "10m"},
    ]
    statuses: dict[int, int] = {}
    try:
        nodes = []
        for n, remote in enumerate(remotes):
            nodes.append(remote.node(f"writer-{n}", endpoint=proxy.endpoint, **levels[n]))
            nodes[n].create("docs", SCHEMA)
            until(lambda node=nodes[n]: lag_of(node) == 0, "the table")
        proxy.plan("PUT", "", answer=503, times=100_000)

        def write(n: int) -> None:
            statuses[n] = nodes[n].put("/api/v1/table/docs/write", rows(0, 1, 1)).status

        threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        threads[0].join()
        threads[1].join()
        assert statuses == {0: 200, 1: 503}
        proxy.clear()
        threads[2].join()
        assert statuses[2] == 200
    finally:
        proxy.clear()
        for remote in remotes:
            remote.stop()
        proxy.stop()


def test_intervals_of_writer_and_replica(make_server, tmp_path):
    """Whoever looks once an hour has seen nothing after several of the intervals of the others."""

    def node(name: str, remote: str, *flags: str) -> Server:
        return make_server("--remote", f"file://{tmp_path}/{remote}", *flags, folder=name)

    writer = node("writer", "often", "--remote-publish-interval", "50ms")
    writer.create("docs", SCHEMA)
    writer.write("docs", rows(0, 1, 0))
    until(lambda: len(events(writer, "published")) > 1, "a root with a row")
    follow = ("--remote-role", "replica", "--remote-poll-interval")
    quick = node("quick", "often", *follow, "50ms")
    slow = node("slow", "often", *follow, "1h")
    until(lambda: value_of(slow, "k0") == 0, "the first look")
    rare = node("rare", "rarely", "--remote-publish-interval", "1h")
    until(lambda: events(rare, "published"), "the first root")
    rare.create("docs", SCHEMA)
    rare.write("docs", rows(0, 1, 0))
    writer.write("docs", rows(0, 1, 1))
    until(lambda: value_of(quick, "k0") == 1, "the next version")
    time.sleep(2.5)  # by default each of them looks every second
    assert value_of(slow, "k0") == 0
    assert len(events(rare, "published")) == 1


def test_the_upload_lag_counts_from_the_write(make_server, tmp_path):
    server = make_server(
        *("--remote", f"file://{tmp_path}/remote", "--remote-publish-interval", "1h")
    )
    until(lambda: events(server, "published"), "the first root")
    server.create("docs", SCHEMA)
    server.write("docs", rows(0, 1, 0))
    until(lambda: lag_of(server) > 0, "the lag", seconds=2)


def start_with(make_server, tmp_path, text: str, *flags: str) -> Server:
    """A server with a file and nothing else, but for what would not let it start beside others."""
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return make_server("--config", str(file), *flags, bare=True)


def test_the_short_form_of_the_remote(make_server, tmp_path):
    text = f"data_dir: {tmp_path}/data\nremote: file://{tmp_path}/remote\n"
    server = start_with(
        make_server, tmp_path, text, "--http", "127.0.0.1:0", "--flight", "127.0.0.1:0"
    )
    until(lambda: list((tmp_path / "remote").iterdir()), server.log_path.read_text)


def test_hosts_and_limits_of_older_files(make_server, tmp_path):
    """Other addresses of the loopback: who asks at the usual one finds nobody."""
    texts = (
        "server: {host: 127.0.0.2, port: 0}",
        "server: {http: {host: 127.0.0.2, port: 0, max_payload_size: 1000}}",
        "server: {grpc: {host: 127.0.0.2, port: 0}}",
    )
    first, second, third = (f"{text}\ndata_dir: {tmp_path}/{text[9:12]}\n" for text in texts)
    for text in (first, second):
        server = start_with(make_server, tmp_path, text, "--flight", "127.0.0.1:0")
        assert server.host == "127.0.0.2"
        assert server.get("/health").status == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
    server.create("t", {"key": "k", "columns": {"k": {"dtype": "utf8"}}})
    answer = server.put("/api/v1/table/t/write", b"x" * 1001, content_type=ARROW)
    assert answer.status == 413
    assert "1000 are allowed" in answer.error
    server = start_with(make_server, tmp_path, third, "--http", "127.0.0.1:0")
    host, _, port = server.flight_address.partition(":")
    assert host == "127.0.0.2"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))
    socket.create_connection((host, int(port))).close()


def test_what_shaped_other_files_changes_nothing(make_server, tmp_path):
    """A word where a map should be, too: what it says counts for nothing here in any case."""
    text = f"storage: {{path: {tmp_path}/data, mmap: auto, block: auto}}\n"
    server = start_with(
        make_server, tmp_path, text, "--http", "127.0.0.1:0", "--flight", "127.0.0.1:0"
    )
    assert server.alive()
    for name in ("mmap", "block"):
        assert f"storage.{name} changes nothing here" in server.log_path.read_text()
