"""SQL at the HTTP door: answers as DuckDB's own over the same rows, and nothing else reached."""

import contextlib
import os
import random
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from conftest import ARROW
from fletching._keygen import new_key

DOCS = {
    "columns": {
        "id": {"dtype": "utf8", "key": True, "nullable": False},
        "score": {"dtype": "float32"},
        "count": {"dtype": "int64"},
        "seen": {"dtype": "timestamp[us, UTC]"},
        "title": {"dtype": "utf8"},
    }
}
REGIONS = {
    "columns": {
        "region": {"dtype": "int64", "key": True, "nullable": False},
        "name": {"dtype": "utf8"},
    }
}


def docs(count: int, seed: int = 0) -> pa.Table:
    draw = np.random.default_rng(seed)
    numbers = np.arange(count)
    return pa.table(
        {
            "id": pa.array([f"d{n}" for n in numbers]),
            "score": pa.array(draw.random(count, dtype=np.float32), mask=numbers % 11 == 0),
            "count": pa.array(draw.integers(0, 50, count)),
            "seen": pa.array(numbers * 1_000_000, type=pa.timestamp("us", tz="UTC")),
            "title": pa.array([None if n % 7 == 0 else f"title {n % 100}" for n in numbers]),
        }
    )


def regions() -> pa.Table:
    return pa.table(
        {"region": pa.array(range(50), type=pa.int64()), "name": [f"r{n % 5}" for n in range(50)]}
    )


@pytest.fixture
def loaded(make_server):
    server = make_server()
    server.create("docs", DOCS)
    server.create("regions", REGIONS)
    server.write("docs", docs(20_000))
    server.write("regions", regions())
    return server


def ask(server, sql: str, parameters=None, **more) -> pa.Table:
    body = {"sql": sql, **({"parameters": parameters} if parameters is not None else {}), **more}
    answer = server.post("/query", body, accept=ARROW)
    assert answer.status == 200, answer
    return answer.table


QUERIES = [
    "SELECT count(*) n, sum(count) s, avg(score) a, max(seen) m FROM docs",
    "SELECT r.name, count(*) n, sum(d.score) s FROM docs d JOIN regions r ON d.count = r.region "
    "GROUP BY r.name ORDER BY r.name",
    "SELECT * FROM docs WHERE title LIKE 'title 4%' AND score > 0.99 ORDER BY id",
    "SELECT id, row_number() OVER (PARTITION BY count ORDER BY seen) n FROM docs "
    "WHERE count < 3 ORDER BY id LIMIT 50",
    "WITH best AS (SELECT count, max(score) s FROM docs GROUP BY count) "
    "SELECT d.id FROM docs d JOIN best b ON d.count = b.count AND d.score = b.s ORDER BY id",
    "SELECT DISTINCT title FROM docs ORDER BY title NULLS FIRST",
    "SELECT list(id ORDER BY id)[1:3] ids FROM docs WHERE count = 7",
    "SELECT * FROM docs WHERE false",
]


def test_answers_are_duckdbs_own(loaded):
    own = duckdb.connect()
    own.register("docs", docs(20_000))
    own.register("regions", regions())
    own.execute("SET TimeZone = 'UTC'")
    for sql in QUERIES:
        ours, theirs = ask(loaded, sql), own.execute(sql).to_arrow_table()
        assert ours.column_names == theirs.column_names
        assert ours.num_rows == theirs.num_rows, sql
        for name in ours.column_names:
            left, right = ours[name].to_pylist(), theirs[name].to_pylist()
            if ours[name].type in (pa.float32(), pa.float64()):  # sums of floats in another order
                assert left == pytest.approx(right, rel=1e-9), sql
            else:
                assert left == right, sql


def test_json_and_both_paths(loaded):
    body = {"sql": "SELECT count(*) AS n, sum(count) AS s FROM docs WHERE id = $id"}
    for path in ("/query", "/api/v1/sql"):
        answer = loaded.post(path, {**body, "parameters": {"id": "d5"}})
        assert answer.status == 200, answer
        assert answer.json == {
            "columns": {"n": [1], "s": [docs(20_000)["count"][5].as_py()]},
        }
    keys = ["d1", "d3", "none", None]
    found = ask(loaded, "SELECT id FROM docs WHERE id IN (SELECT unnest($1)) ORDER BY 1", [keys])
    assert found["id"].to_pylist() == ["d1", "d3"]


def test_what_is_written_is_seen(loaded):
    loaded.write("docs", docs(25_000, seed=1))
    expected = docs(25_000, seed=1)
    answer = ask(loaded, "SELECT id, count, score FROM docs")
    assert answer.num_rows == 25_000
    assert answer.sort_by("id").equals(expected.select(["id", "count", "score"]).sort_by("id"))


BAD = [
    (400, {"sql": "SELEC 1"}, "syntax error"),
    (400, {"sql": "SELECT nobody FROM docs"}, "nobody"),
    (400, {"sql": "SELECT 1; SELECT 2"}, "one statement"),
    (400, {"sql": "DELETE FROM docs"}, "only SELECT"),
    (400, {"sql": ""}, "'sql' is missing"),
    (400, {"sql": 5}, "'sql' is a text"),
    (400, {"sql": "SELECT 1", "limit": 5}, "'limit' is not known"),
    (400, {"sql": "SELECT $1"}, "has 1 parameters, 0 are given"),
    (400, {"sql": "SELECT $1", "parameters": [{"a": 1}]}, "a parameter is null, a bool"),
    (400, {"sql": "SELECT 1", "timeout_ms": 0}, "above 0"),
    (400, [1], "the body is a JSON object"),
    (404, {"sql": "SELECT * FROM dosc"}, "did you mean 'docs'"),
    (413, {"sql": "SELECT * FROM range(20000)"}, "more than 10000 rows"),
    (413, {"sql": "SELECT * FROM docs", "rows_max": 7}, "more than 7 rows"),
    (504, {"sql": "SELECT sum(a.range * b.range) FROM range(9999999) a, range(9999999) b",
           "timeout_ms": 150}, "longer than 150 ms"),
]  # fmt: skip


@pytest.mark.parametrize("status, body, words", BAD, ids=[str(at) for at in range(len(BAD))])
def test_errors_say_what_to_do(loaded, status, body, words):
    answer = loaded.post("/query", body)
    assert answer.status == status, answer
    assert words in answer.error


HOSTILE = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/*')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "SELECT * FROM read_json('http://127.0.0.1:9/x.json')",
    "SELECT * FROM 'https://127.0.0.1:9/x.csv'",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM parquet_metadata('x')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM seq_scan('x')",
    "SELECT * FROM fletching_rows(1)",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('docs')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM which_secret('s3://x', 's3')",
    "SELECT * FROM duckdb_extensions()",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM sqlite_master",
    "SELECT current_setting('temp_directory')",
    "SELECT getenv('HOME')",
    "SELECT sleep_ms(60000)",
    "SELECT write_log('x')",
    "COPY docs TO '/tmp/stolen.csv'",
    "COPY (SELECT 1) TO '/tmp/stolen.csv'",
    "COPY docs FROM '/etc/passwd'",
    "EXPORT DATABASE '/tmp/stolen'",
    "IMPORT DATABASE '/tmp/stolen'",
    "ATTACH '/tmp/stolen.db'",
    "ATTACH ':memory:' AS other",
    "DETACH memory",
    "USE memory",
    "INSTALL httpfs",
    "FORCE INSTALL httpfs FROM 'http://127.0.0.1:9'",
    "LOAD httpfs",
    "LOAD '/tmp/x.duckdb_extension'",
    "UPDATE EXTENSIONS",
    "SET enable_external_access = true",
    "SET memory_limit = '100GB'",
    "SET VARIABLE x = 1",
    "RESET ALL",
    "PRAGMA enable_external_access",
    "PRAGMA database_list",
    "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "CREATE TABLE t AS SELECT 1",
    "CREATE MACRO m(x) AS read_text(x)",
    "CREATE VIEW v AS SELECT 1",
    "INSERT INTO docs VALUES (1)",
    "UPDATE docs SET count = 0",
    "DROP TABLE docs",
    "DROP VIEW docs",
    "CALL pragma_version()",
    "CHECKPOINT",
    "EXPLAIN ANALYZE SELECT 1",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "BEGIN",
    "VACUUM",
    "SELECT 1; DROP VIEW docs",
    "SELECT 1; ; SELECT 2",
    "/* SELECT */ COPY docs TO '/tmp/stolen.csv'",
]


def test_nothing_else_is_reached(make_server, tmp_path):
    """Under strace: no file is opened outside the data folder, nothing is connected to."""
    if shutil.which("strace") is None:
        pytest.skip("no strace here")
    server = make_server()
    server.create("docs", DOCS)
    server.write("docs", docs(1000))
    ask(server, "SELECT count(*) FROM docs")  # DuckDB is loaded
    trace = tmp_path / "trace"
    calls = "trace=open,openat,openat2,connect,execve,unlink,unlinkat,rename,renameat2,mkdir"
    tracer = subprocess.Popen(
        ["strace", "-f", "-e", calls, "-o", str(trace), "-p", str(server.process.pid)],
        stderr=subprocess.PIPE,
    )
    try:
        line = tracer.stderr.readline().decode()  # it is attached
        if "attached" not in line:
            pytest.skip(f"strace: {line}")
        for sql in HOSTILE:
            answer = server.post("/query", {"sql": sql})
            assert answer.status in (400, 403, 404), (sql, answer)
        assert ask(server, "SELECT count(*) c FROM docs")["c"].to_pylist() == [1000]
    finally:
        tracer.terminate()
        tracer.wait()
    allowed = (str(server.folder), "/proc/", "/sys/", "/dev/")
    for line in trace.read_text().splitlines():
        assert "connect(" not in line and "execve(" not in line, line
        for path in re.findall(r'"([^"]*)"', line):
            assert path.startswith(allowed), line
    assert not Path("/tmp/stolen.csv").exists()


def test_keys_say_which_tables(make_server, tmp_path):
    reader, line = new_key("reader", "none", ["docs=read"])
    admin, second = new_key("root", "admin", [])
    (tmp_path / "keys").write_text(f"{line}\n{second}\n")
    server = make_server("--keys-file", tmp_path / "keys")
    as_admin = {"authorization": f"Bearer {admin}"}
    for name, schema in (("docs", DOCS), ("regions", REGIONS)):
        assert server.put(f"/api/v1/table/{name}", schema, **as_admin).status == 201
    both = {"sql": "SELECT count(*) FROM docs, regions"}
    assert server.post("/query", both).status == 401
    assert server.post("/query", both, **as_admin).status == 200
    as_reader = {"authorization": f"Bearer {reader}"}
    refused = server.post("/query", both, **as_reader)
    assert refused.status == 403
    assert "role none on table 'regions'" in refused.error
    assert server.post("/query", {"sql": "SELECT count(*) FROM docs"}, **as_reader).status == 200


def test_a_large_answer_streams(loaded):
    """A hundred million rows, of which the client takes some and goes away."""

    def resident() -> int:
        text = Path(f"/proc/{loaded.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"Anonymous:\s+(\d+)", text).group(1)) * 1024

    ask(loaded, "SELECT 1")
    before = resident()
    body = '{"sql": "SELECT range i, range * 2 j FROM range(100000000)"}'
    connection = loaded.connect()
    head = {"accept": ARROW, "content-type": "application/json"}
    connection.request("POST", "/query", body=body, headers=head)
    response = connection.getresponse()
    assert response.status == 200
    taken, most = 0, 0
    while taken < 64 << 20:
        taken += len(response.read(1 << 20))
        most = max(most, resident())
    response.close()
    connection.close()
    assert most - before < 200 << 20
    assert loaded.alive()


def test_without_sql_and_without_duckdb(make_server):
    off = make_server("--sql-queries", "0", folder="off")
    answer = off.post("/query", {"sql": "SELECT 1"})
    assert (answer.status, "sql.queries" in answer.error) == (501, True)
    missing = make_server("--sql-library", "/nowhere/libduckdb.so", folder="missing")
    answer = missing.post("/query", {"sql": "SELECT 1"})
    assert (answer.status, "pip install duckdb==1.5.5" in answer.error) == (501, True)


def test_memory_and_what_is_spilled(make_server):
    big = {"sql": "SELECT list(range) FROM range(30000000)"}
    answer = make_server("--sql-memory", "30MiB", folder="small").post("/query", big)
    assert answer.status == 413, answer
    assert "Out of Memory" in answer.error
    texts = "SELECT DISTINCT range || 'abcdefghijklmnop' AS s FROM range(4000000)"
    server = make_server("--sql-memory", "60MiB", "--sql-threads", "1", folder="spilling")
    spilled, done = [], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            with contextlib.suppress(OSError):  # files come and go
                spilled.extend(p.stat().st_size for p in (server.folder / "sql.spill").iterdir())

    watcher = threading.Thread(target=watch)
    watcher.start()
    answer = server.post("/query", {"sql": f"SELECT sum(length(s))::BIGINT AS n FROM ({texts})"})
    done.set()
    watcher.join()
    assert (answer.status, answer.json) == (200, {"columns": {"n": [90_888_890]}})
    assert max(spilled, default=0) > 1 << 20
    assert not (server.folder / "sql.spill").exists() or not [
        *(server.folder / "sql.spill").iterdir()
    ]


def test_threads_and_time(make_server):
    def tasks(*flags: str) -> int:
        server = make_server(*flags, folder="-".join(flags))
        ask(server, "SELECT 1")
        return len(os.listdir(f"/proc/{server.process.pid}/task"))

    assert tasks("--sql-threads", "6") == tasks("--sql-threads", "1") + 5
    endless = "SELECT sum(a.range * b.range) FROM range(9999999) a, range(9999999) b"
    quick = make_server("--sql-timeout", "100ms", folder="quick")
    assert quick.post("/query", {"sql": endless, "timeout_ms": 60_000}).status == 504


def test_one_too_many(make_server):
    server = make_server("--sql-queries", "1")
    endless = "SELECT sum(a.range * b.range) FROM range(9999999) a, range(9999999) b"
    first = threading.Thread(
        target=server.post, args=("/query", {"sql": endless, "timeout_ms": 2000})
    )
    first.start()
    time.sleep(0.5)
    assert server.post("/query", {"sql": "SELECT 1"}).status == 503
    first.join()
    assert server.post("/query", {"sql": "SELECT 1"}).status == 200


def test_queries_while_everything_changes(loaded):
    """Sums that stay the same while rows are rewritten, flushed and merged."""
    seed = int(os.environ.get("SEED", time.time()))
    print(f"seed {seed}")
    draw = random.Random(seed)
    total = sum(docs(20_000)["count"].to_pylist())
    until, failures = time.monotonic() + 5, []

    def write() -> None:
        try:
            while time.monotonic() < until:
                first = draw.randrange(19_000)
                loaded.write("docs", docs(20_000).slice(first, draw.randrange(1, 1000)))
                if draw.random() < 0.2:
                    loaded.post("/api/v1/table/docs/compact")
        except BaseException as failure:
            failures.append(failure)

    writer = threading.Thread(target=write)
    writer.start()
    while time.monotonic() < until and not failures:
        answer = ask(loaded, "SELECT count(*) n, sum(count) s FROM docs")
        assert answer.to_pylist() == [{"n": 20_000, "s": total}]
    writer.join()
    assert not failures, failures[0]
