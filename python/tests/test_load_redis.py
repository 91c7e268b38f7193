"""`fletching load ... redis://`: every layout, bad rows, and loads that are cut short."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time

import fletching
import pyarrow as pa
import pytest
from fletching import RedisSource, _redis

msgpack = pytest.importorskip("msgpack")


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "fletching", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=settings(**environment),
    )


def settings(**more):
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}


def state_file(db):
    return [name for name in os.listdir(os.path.dirname(db.path)) if name.endswith(".redis-load")]


# -- layouts ------------------------------------------------------------------------------------


def test_hashes_become_rows_of_guessed_types(db, redis_server):
    redis_server.put_users(2500)
    redis_server.client.hset("user:2500", mapping={"age": "", "name": "ü"})
    redis_server.client.set("other", "x")
    result = db.load_redis("users", RedisSource(redis_server.url, "hash", match="user:*"))
    assert (result.row_count, result.checked_count, result.differences) == (2501, 1000, [])
    assert {field.name: str(field.type) for field in db.schema("users")} == {
        "key": "int64",
        "age": "int64",
        "score": "double",
        "name": "string",
    }
    assert db["users"].count == 2501
    rows = db.read("users", [7, 2500, 2501]).to_arrow().to_pylist()
    assert rows[0] == {"age": 7, "score": 1.0, "name": "n7"}
    assert rows[1] == {"age": None, "score": None, "name": "ü"}
    assert rows[2]["name"] is None
    assert state_file(db) == []


def test_a_schema_picks_fields_and_types(db, redis_server):
    redis_server.put_users(10)
    for at in range(10):
        redis_server.client.hset(f"user:{at}", "vector", struct.pack("<2f", at, 0.5))
    schema = "id:utf8,age:int8,vector:fixed_size_list<float32>[2]"
    source = RedisSource(redis_server.url, "hash", match="user:*", key="id", schema=schema)
    assert db.load_redis("users", source).differences == []
    assert db.read("users", ["3"]).to_arrow().to_pylist() == [{"age": 3, "vector": [3.0, 0.5]}]
    everything = RedisSource(redis_server.url, "hash", match="user:*", schema="age:float64,*")
    db.load_redis("all", everything)
    assert db.schema("all").names == ["key", "age", "score", "name", "vector"]
    assert db.read("all", [3], ["age"]).to_arrow()["age"].to_pylist() == [3.0]


@pytest.mark.parametrize("coding", ["json", "msgpack"])
def test_blobs_with_named_fields(db, redis_server, coding):
    pack = json.dumps if coding == "json" else msgpack.packb
    for at in range(50):
        row = {"n": at, "x": at / 3, "tags": ["a"] * (at % 3), "deep": {"k": at}, "ok": True}
        redis_server.client.set(f"item:{at}:v1", pack(row if at else {**row, "n": None}))
    source = RedisSource(redis_server.url, "blob", match="item:*:v1", format=coding)
    assert db.load_redis("items", source).differences == []
    first, last = db.read("items", [0, 49]).to_arrow().to_pylist()
    assert first["n"] is None
    assert last == {"n": 49, "x": 49 / 3, "tags": ["a"], "deep": '{"k": 49}', "ok": True}


def test_blobs_of_arrow(db, redis_server):
    for at in range(50):
        row = pa.table({"n": pa.array([at], pa.int16()), "v": [[float(at), 2.0]]})
        sink = io.BytesIO()
        make = pa.ipc.new_stream if at % 2 else pa.ipc.new_file
        with make(sink, row.schema) as writer:
            writer.write_table(row)
        redis_server.client.set(f"item-{at}", sink.getvalue())
    source = RedisSource(redis_server.url, "blob", match="item-*", format="arrow", key="item")
    assert db.load_redis("items", source).differences == []
    assert db.schema("items").field("n").type == pa.int16()
    assert db.read("items", [49]).to_arrow().to_pylist() == [{"n": 49, "v": [49.0, 2.0]}]


def test_blobs_of_packed_floats(db, redis_server):
    for at in range(50):
        redis_server.client.set(at, struct.pack("<3f", at, float("nan"), -0.0))
    vectors = RedisSource(redis_server.url, "blob", format="float32")
    assert db.load_redis("vectors", vectors).differences == []
    assert db["vectors"].schema.field("values").type.list_size == 3
    named = RedisSource(redis_server.url, "blob", format="float32", schema="a,b,c:float64")
    assert db.load_redis("named", named).differences == []
    row = db.read("named", [49]).to_arrow().to_pylist()[0]
    assert row["a"] == 49.0
    assert str(row["b"]) == "nan"
    assert str(row["c"]) == "-0.0"
    redis_server.client.set("7", b"12345")
    with pytest.raises(fletching.SchemaMismatchError, match="key '7': 5 bytes"):
        db.load_redis("named", named)


def test_the_online_store_of_feast(db, redis_server):
    """The keys, fields and values are those that feast 0.67.0 writes."""
    client = redis_server.client
    for at in range(100):
        names = bytes.fromhex(
            "02000000020000000400000063697479020000000600000064726976657202000000"
        )
        city = f"c{at}".encode()
        key = names + struct.pack("<I", len(city)) + city + struct.pack("<IIq", 4, 8, at) + b"shop"
        seconds = bytes.fromhex("08c9f2d6ca06108827")  # 2026-01-01T00:01:13.000005Z
        value = b"\x35" + struct.pack("<f", at)
        client.hset(key, mapping={b"_ts:pair": seconds, bytes.fromhex("b3eec3cc"): value})
        client.hset(key[:-4] + b"workshop", mapping={b"_ts:pair": seconds})
    client.hset(key[:-12] + struct.pack("<q", 5000) + b"shop", mapping={"_ts:other": seconds})
    source = RedisSource(redis_server.url, "feast", project="shop", view="pair", schema="f")
    result = db.load_redis("pair", source)
    assert (result.row_count, result.checked_count, result.differences) == (100, 100, [])
    assert db.table("pair").key == ["city", "driver"]
    assert db.table("pair").event_time == "__event_ts"
    (row,) = db.read("pair", [("c73", 73)]).to_arrow().to_pylist()
    assert row["f"] == 73.0
    assert row["__event_ts"].isoformat() == "2026-01-01T00:01:13.000005+00:00"
    with pytest.raises(fletching.NotFoundError, match="no row of view 'pear' of project 'shop'"):
        db.load_redis(
            "x",
            RedisSource(redis_server.url, "feast", project="shop", view="pear", schema="f:int8"),
        )
    wrong = RedisSource(redis_server.url, "feast", project="shop", view="pair", schema="g")
    with pytest.raises(fletching.InvalidArgumentError, match="none of 100 rows has a value of 'g'"):
        db.load_redis("x", wrong)


# -- loads that are cut short -------------------------------------------------------------------


def test_a_load_goes_on_where_it_was_cut(db, redis_server, monkeypatch):
    monkeypatch.setattr(_redis, "_BATCH_ROWS", 300)
    redis_server.put_users(3000)
    source = RedisSource(redis_server.url, "hash", match="user:*")

    def stop_at(limit):
        def stop(row_count):
            if row_count >= limit:
                raise KeyboardInterrupt

        return stop

    with pytest.raises(KeyboardInterrupt, match="rows are stored; the same command goes on"):
        db.load_redis("users", source, progress=stop_at(1000))
    stored = db["users"].count
    assert 1000 <= stored < 3000
    other = RedisSource(redis_server.url, "hash", match="u*")
    with pytest.raises(fletching.InvalidArgumentError, match=r"match 'user:\*', not 'u\*'"):
        db.load_redis("users", other)
    seen = []
    result = db.load_redis("users", source, progress=seen.append)
    assert seen[0] > stored  # not from the beginning
    assert result.row_count >= 3000
    assert result.differences == []
    assert db["users"].count == 3000
    assert state_file(db) == []


def test_a_restarted_redis_is_read_from_the_beginning(db, start_redis, monkeypatch, capsys):
    monkeypatch.setattr(_redis, "_BATCH_ROWS", 300)
    server = start_redis()
    server.put_users(1000)
    source = RedisSource(server.url, "hash", match="user:*")

    def stop(row_count):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError):
        db.load_redis("users", source, progress=stop)
    server.stop()
    server.start()
    server.put_users(1000)
    result = db.load_redis("users", source, progress=True)
    assert "Redis was restarted since" in capsys.readouterr().err
    assert result.row_count >= 1000
    assert result.differences == []
    assert db["users"].count == 1000


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_command_goes_on(tmp_path, redis_server, how):
    redis_server.put_users(60_000)
    folder, state = tmp_path / "features", tmp_path / "features.users.redis-load"
    arguments = ["load", folder, "users", redis_server.url, "--layout", "hash", "--match", "user:*"]
    command = [sys.executable, "-m", "fletching", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=settings())
    while not state.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(how)
    errors = process.communicate(timeout=60)[1]
    assert state.exists()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "rows are stored; the same command goes on from there" in errors
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert "of an unfinished load" in done.stderr
    answer = json.loads(done.stdout)
    assert answer["differences"] == []
    assert answer["checked"] == 1000
    assert not state.exists()
    with fletching.open(folder) as db:
        assert db["users"].count == 60_000


def test_a_redis_that_dies_leaves_a_load_that_goes_on(db, redis_server, monkeypatch):
    monkeypatch.setattr(_redis, "_BATCH_ROWS", 300)
    redis_server.put_users(3000)

    def kill(row_count):
        redis_server.process.kill()
        redis_server.process.wait()

    source = RedisSource(redis_server.url, "hash", match="user:*")
    with pytest.raises(fletching.UnavailableError, match="rows are stored; the same command"):
        db.load_redis("users", source, progress=kill)
    assert db["users"].count >= 300
    assert len(state_file(db)) == 1


# -- the check ----------------------------------------------------------------------------------


def test_the_check_finds_what_differs_and_what_is_missing(db, redis_server):
    redis_server.put_users(200)

    def change(row_count):
        redis_server.client.hset("user:7", "age", 77)
        redis_server.client.hset("user:new", mapping={"age": 1, "name": "x"})
        redis_server.client.delete("user:8")

    schema = RedisSource(redis_server.url, "hash", match="user:*", schema="key:utf8,*")
    result = db.load_redis("users", schema, check_count=3000, progress=change)
    assert "key 'user:7', column 'age': '77' in Redis, '7' in the table" in result.differences
    assert "key 'user:new' is not in the table" in result.differences
    assert result.gone_count == 1


def test_the_command_fails_where_the_check_does(tmp_path, redis_server, monkeypatch, capsys):
    from fletching import _cli

    redis_server.put_users(50)
    write = fletching.Database.write

    def wrong(self, name, frame, *rest, **more):
        ages = pa.array([0] * frame.num_rows, pa.int64())
        return write(self, name, frame.set_column(1, frame.schema.field("age"), ages))

    monkeypatch.setattr(fletching.Database, "write", wrong)
    arguments = ["load", str(tmp_path / "f"), "t", redis_server.url, "--layout", "hash"]
    assert _cli.main([*arguments, "--match", "user:*", "--quiet"]) == 1
    shown = capsys.readouterr()
    assert "column 'age'" in shown.out
    assert "not all are equal" in shown.err


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            {"match": "nobody:*"},
            KeyError,
            r"no key matches 'nobody:\*' in Redis at .*, which holds",
        ),
        ({"match": "lis*"}, TypeError, r"key 'list' holds no hash"),
        (
            {"match": "user:*", "schema": "name:int32"},
            TypeError,
            r"key 'user:\d', field 'name': 'n",
        ),
        (
            {"match": "user:*", "schema": "namex"},
            ValueError,
            r"has a value of 'namex': check its name",
        ),
        ({"match": "user:*", "key": "age"}, TypeError, r"field 'age', as the key column is called"),
        ({"match": "user:*", "prefix": "us:"}, TypeError, r"does not begin with 'us:'"),
        ({"match": "user:*", "format": "json"}, ValueError, r"layout 'hash' takes no format"),
        ({"layout": "blob"}, ValueError, r"layout 'blob' needs format: json"),
        ({"layout": "blob", "format": "json", "match": "list*"}, TypeError, r"holds no string"),
        ({"layout": "blob", "format": "json", "match": "text*"}, TypeError, r"'text': no json"),
        ({"layout": "blob", "format": "arrow", "match": "text*"}, TypeError, r"no Arrow stream"),
        ({"layout": "feast", "project": "p"}, ValueError, r"needs project, view and schema"),
        ({"schema": "a,,b"}, ValueError, r"schema: '' names no new column"),
    ],
)
def test_what_cannot_be_loaded_is_named_and_writes_nothing(db, redis_server, options, error, text):
    redis_server.put_users(5)
    redis_server.client.rpush("list", "x")
    redis_server.client.set("text", "{x")
    with pytest.raises(error, match=text):
        db.load_redis("t", RedisSource(redis_server.url, **{"layout": "hash", **options}))
    assert db.tables() == []
    assert state_file(db) == []


def test_two_keys_never_become_one(db, redis_server):
    redis_server.client.hset("user:7", "n", 1)
    redis_server.client.hset("user:07", "n", 2)
    source = RedisSource(redis_server.url, "hash", match="user:*")
    db.load_redis("text", source)
    assert db.schema("text").field("key").type == pa.string()
    numbers = RedisSource(redis_server.url, "hash", match="user:*", schema="key:int64,n")
    with pytest.raises(TypeError, match="key 'user:07', field 'key'"):
        db.load_redis("numbers", numbers)


def test_a_table_that_is_there_decides_and_refuses_other_fields(db, redis_server):
    redis_server.put_users(5)
    db.create_table("t", {"key": "int64", "age": "float32", "more": "utf8"}, key="key")
    source = RedisSource(redis_server.url, "hash", match="user:*")
    with pytest.raises(TypeError, match="has a field 'score', which the table has not"):
        db.load_redis("t", source)
    db.load_redis("t", RedisSource(redis_server.url, "hash", match="user:*", schema="age"))
    assert db.read("t", [4]).to_arrow().to_pylist() == [{"age": 4.0, "more": None}]
    with pytest.raises(TypeError, match="is float32, not int8"):
        wrong = RedisSource(redis_server.url, "hash", match="user:*", schema="age:int8")
        db.load_redis("t", wrong)


def test_passwords_are_needed_and_never_shown(tmp_path, start_redis):
    server = start_redis("--requirepass", "s3cret")
    arguments = ["load", tmp_path / "f", "t"]
    for url in (
        server.url,
        f"redis://:wr0ng@127.0.0.1:{server.port}",
        f"redis://:wr0ng@127.0.0.1:{server.port}/x",
        "redis://:wr0ng/pass@localhost",
        "redis://:wr0ng@127.0.0.1:1",
    ):
        done = run(*arguments, url, "--layout", "hash")
        assert done.returncode == 2
        assert "wr0ng" not in done.stderr + done.stdout
        assert "Traceback" not in done.stderr
    done = run(*arguments, server.url, "--layout", "hash", REDISCLI_AUTH="s3cret")
    assert "holds 0 keys" in done.stderr
    done = run(*arguments, f"redis://:s3cret@127.0.0.1:{server.port}", "--layout", "hash")
    assert "holds 0 keys" in done.stderr


def test_options_of_redis_are_refused_for_files(tmp_path):
    done = run("load", tmp_path, "t", "x.parquet", "--match", "a*")
    assert done.returncode == 2
    assert "--match is for a source redis://" in done.stderr
    done = run("load", tmp_path, "t", "redis://localhost:1")
    assert done.returncode == 2
    assert "--layout hash, blob, feast" in done.stderr


def test_a_socket_in_the_file_system_is_a_url_too(db, tmp_path, start_redis):
    server = start_redis("--unixsocket", str(tmp_path / "redis.sock"))
    server.put_users(5)
    source = RedisSource(f"unix://{tmp_path}/redis.sock", "hash", match="user:*")
    assert db.load_redis("users", source).checked_count == 5


def test_without_the_client_the_error_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['redis'] = None; from fletching._cli import main; "
        f"sys.exit(main(['load', {str(tmp_path)!r}, 't', 'redis://h', '--layout', 'hash']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=settings()
    )
    assert done.returncode == 2
    assert "pip install 'fletching[redis]'" in done.stderr
