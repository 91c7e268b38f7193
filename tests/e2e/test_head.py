"""The newer form of the interface: keys by column, sparse answers. Raw HTTP, no client library."""

import json

import pyarrow as pa
import pytest

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
SCHEMA = {
    "columns": {
        "user": {"dtype": "utf8", "key": True, "nullable": False, "strict": True},
        "item": {"dtype": "int64", "key": True, "nullable": False, "strict": True},
        "score": {"dtype": "float32", "nullable": True, "key": False, "strict": False},
        "name": {"dtype": "utf8", "nullable": True, "key": False, "strict": True},
    }
}
ROWS = pa.table(
    {
        "user": ["a", "a", "b"],
        "item": [1, 2, 1],
        "score": [0.95, None, 0.68],
        "name": ["x", "y", None],
    }
)


def ipc(table, columns=None):
    if columns is not None:
        table = table.replace_schema_metadata({"columns": json.dumps(columns)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.fixture
def filled(server, table):
    server.create(table, SCHEMA)
    server.write(table, ROWS)
    return table


def test_a_schema_is_shown_as_it_was_created(server, table):
    server.create(table, SCHEMA)
    assert server.get(f"/api/v1/table/{table}/schema").json == SCHEMA
    assert server.get("/api/v1/table").json[table] == SCHEMA
    assert list(server.get(f"/api/v1/table/{table}/schema").json["columns"]) == list(
        SCHEMA["columns"]
    )


def test_defaults_are_filled_in(server, table):
    server.create(
        table,
        {
            "columns": {
                "k": {"dtype": "utf8", "key": True, "nullable": False},
                "v": {"dtype": "bool"},
            }
        },
    )
    shown = server.get(f"/api/v1/table/{table}/schema").json["columns"]
    assert shown["v"] == {"dtype": "bool", "nullable": True, "key": False, "strict": True}


def test_answers_are_sparse(server, filled):
    keys = {"user": ["b", "zz", "a", "a"], "item": [1, 1, 2, 1]}
    got = server.fetch(filled, keys, ["score", "name"])
    assert list(got) == ["_idx", "score", "name"]
    rows = sorted(zip(got["_idx"], got["score"], got["name"], strict=True))
    assert rows == [
        (0, 0.6800000071525574, None),
        (2, None, "y"),
        (3, 0.949999988079071, "x"),
    ]


def test_duplicate_keys_give_a_row_each(server, filled):
    got = server.fetch(filled, {"user": ["a", "a"], "item": [1, 1]}, ["name"])
    assert got == {"_idx": [0, 1], "name": ["x", "x"]}


def test_no_columns_tell_which_keys_exist(server, filled):
    assert server.fetch(filled, {"user": ["a", "q"], "item": [1, 1]}, []) == {"_idx": [0]}


def test_nothing_found_is_an_empty_answer_with_the_whole_schema(server, filled):
    path = f"/api/v1/table/{filled}/fetch"
    keys = pa.table({"user": ["q"], "item": [1]})
    for body in (ipc(keys, ["name", "score"]), ipc(keys.slice(0, 0), ["name", "score"])):
        answer = server.post(path, body, content_type=ARROW, accept=ARROW)
        assert answer.status == 200, answer
        assert answer.table.schema == pa.schema(
            [
                pa.field("_idx", pa.uint32(), nullable=False),
                pa.field("name", pa.utf8()),
                pa.field("score", pa.float32()),
            ]
        )
        assert answer.table.num_rows == 0


def test_arrow_and_json_agree_in_both_directions(server, filled):
    path = f"/api/v1/table/{filled}/fetch"
    keys = pa.table({"item": [2, 7, 1], "user": ["a", "a", "b"]})  # any order of columns
    wanted = ["name", "score"]
    as_json = {"keys": keys.to_pydict(), "columns": wanted}
    answers = [
        server.post(path, ipc(keys, wanted), content_type=ARROW, accept=ARROW).table.to_pydict(),
        server.post(path, ipc(keys, wanted), content_type=ARROW).json["columns"],
        server.post(path, as_json, accept=ARROW).table.to_pydict(),
        server.post(path, as_json).json["columns"],
        server.post(f"/v1/{filled}", as_json).json["columns"],
        server.post(f"/v1/{filled}/_fetch", as_json).json["columns"],
    ]
    assert answers[0] == {"_idx": [0, 2], "name": ["y", None], "score": [None, 0.6800000071525574]}
    assert all(answer == answers[0] for answer in answers)


def test_keys_in_several_batches_count_through(server, filled):
    keys = pa.table({"user": ["a", "b"], "item": [1, 1]})
    both = pa.concat_tables([keys, keys.slice(0, 0), keys])
    answer = server.post(
        f"/api/v1/table/{filled}/fetch", ipc(both, []), content_type=ARROW, accept=ARROW
    )
    assert answer.table.column("_idx").to_pylist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "body",
    [
        {"keys": {"user": ["a"]}, "columns": []},
        {"keys": {"user": ["a"], "item": [1], "score": [1]}, "columns": []},
        {"keys": {"user": ["a"], "item": [1, 2]}, "columns": []},
        {"keys": {"user": ["a"], "item": ["1"]}, "columns": []},
        {"keys": {"user": [1], "item": [1]}, "columns": []},
        {"keys": {"user": ["a"], "item": [1.5]}, "columns": []},
        {"keys": {"user": ["a"], "item": [2**63]}, "columns": []},
        {"keys": {"user": [None], "item": [1]}, "columns": []},
        {"keys": {"user": ["a"], "item": [1]}, "columns": ["nope"]},
        {"keys": {"user": ["a"], "item": [1]}, "columns": ["user"]},
        {"keys": {"user": ["a"], "item": [1]}, "columns": [], "limit": 1},
        {"keys": {"user": ["a"], "item": [1]}},
        {"keys": ["a"], "columns": []},
        {"columns": []},
        [],
    ],
)
def test_wrong_fetches_are_400(server, filled, body):
    answer = server.post(f"/api/v1/table/{filled}/fetch", body)
    assert answer.status == 400, answer
    assert answer.error


def test_wrong_arrow_fetches_are_400(server, filled):
    path = f"/api/v1/table/{filled}/fetch"
    good = pa.table({"user": ["a"], "item": [1]})
    for keys, columns in [
        (good, None),
        (good.select(["user"]), []),
        (good.append_column("x", [[1]]), []),
        (good.set_column(1, "item", [["1"]]), []),
        (good.set_column(1, "item", [pa.array([None], pa.int64())]), []),
        (good, ["nope"]),
    ]:
        answer = server.post(path, ipc(keys, columns), content_type=ARROW)
        assert answer.status == 400, (keys, answer)
        assert answer.error
    bad = good.replace_schema_metadata({"columns": "score"})
    assert server.post(path, ipc(bad), content_type=ARROW).status == 400
    assert server.post(path, b"", content_type=ARROW).status == 400
    assert server.post(path, b"PAR1", content_type=PARQUET).status == 400


def test_narrower_keys_widen_and_wider_ones_are_refused(server, table):
    server.create(
        table,
        {
            "columns": {
                "k": {"dtype": "int32", "key": True, "nullable": False},
                "v": {"dtype": "bool"},
            }
        },
    )
    server.write(table, pa.table({"k": pa.array([1, 2], pa.int16()), "v": [True, False]}))
    path = f"/api/v1/table/{table}/fetch"
    narrow = pa.table({"k": pa.array([2], pa.int8())})
    answer = server.post(path, ipc(narrow, ["v"]), content_type=ARROW, accept=ARROW)
    assert answer.table.to_pydict() == {"_idx": [0], "v": [False]}
    wide = pa.table({"k": pa.array([2**40], pa.int64())})
    assert server.post(path, ipc(wide, ["v"]), content_type=ARROW).status == 400


@pytest.mark.parametrize(
    ("status", "columns"),
    [
        (400, {"k": {"dtype": "utf8"}}),
        (400, {}),
        (400, {"k": {"dtype": "utf8", "key": True}}),
        (400, {"k": {"dtype": "float32", "key": True, "nullable": False}}),
        (400, {"k": {"dtype": "bool", "key": True, "nullable": False}}),
        (400, {"_idx": {"dtype": "utf8", "key": True, "nullable": False}}),
        (400, {"k": {"dtype": "utf8", "key": True, "nullable": False}, "a/b": {"dtype": "utf8"}}),
        (422, {"k": {"dtype": "utf8", "key": True, "nullable": False, "index": 1}}),
        (422, {"k": {"dtype": "utf9", "key": True, "nullable": False}}),
        (422, {"k": {"key": True, "nullable": False}}),
        (422, {"k": "utf8"}),
        (422, []),
    ],
)
def test_wrong_schemas_are_told_apart(server, table, status, columns):
    answer = server.put(f"/api/v1/table/{table}", {"columns": columns})
    assert answer.status == status, answer
    assert answer.error
    assert server.get(f"/api/v1/table/{table}/schema").status == 404


def test_unknown_members_of_a_schema_are_422(server, table):
    answer = server.put(f"/api/v1/table/{table}", {**SCHEMA, "shards": 3})
    assert answer.status == 422
    assert server.put(f"/api/v1/table/{table}", b"{", content_type="application/json").status == 400
    both = {**SCHEMA, "key": "user"}
    assert server.put(f"/api/v1/table/{table}", both).status == 422
    assert server.put(f"/api/v1/table/{table}", b"x", content_type="text/plain").status == 415


def test_a_table_is_created_once(server, table):
    server.create(table, SCHEMA)
    assert server.put(f"/api/v1/table/{table}", SCHEMA).status == 409
    assert server.put(f"/api/v1/table/{table.upper()}", SCHEMA).status == 409


def test_a_dropped_table_is_gone(server, filled):
    answer = server.request("DELETE", f"/api/v1/table/{filled}")
    assert (answer.status, answer.body) == (204, b"")
    assert server.request("DELETE", f"/api/v1/table/{filled}").status == 404
    assert server.get(f"/api/v1/table/{filled}/schema").status == 404
    server.create(filled, SCHEMA)
    assert server.fetch(filled, {"user": ["a"], "item": [1]}, []) == {"_idx": []}


def test_writes_take_every_batch_every_row_group_and_last_wins(server, filled):
    batch = pa.table(
        {"user": ["c", "c"], "item": [1, 1], "score": [1.0, 2.0], "name": ["old", "new"]}
    )
    server.write(filled, pa.concat_tables([batch, batch.set_column(3, "name", [["x", "newest"]])]))
    got = server.fetch(filled, {"user": ["c"], "item": [1]}, ["score", "name"])
    assert got == {"_idx": [0], "score": [2.0], "name": ["newest"]}


def test_a_write_replaces_the_whole_row(server, filled):
    server.write(filled, {"columns": {"user": ["a"], "item": [1], "score": [None], "name": ["z"]}})
    got = server.fetch(filled, {"user": ["a"], "item": [1]}, ["score", "name"])
    assert got == {"_idx": [0], "score": [None], "name": ["z"]}


def test_extra_columns_are_ignored_and_missing_ones_refused(server, filled):
    server.write(filled, ROWS.append_column("extra", [[1, 2, 3]]))
    answer = server.put(f"/api/v1/table/{filled}/write", ROWS.drop_columns(["name"]))
    assert answer.status == 400
    assert "'name'" in answer.error


def test_strict_columns_refuse_what_would_round(server, table):
    schema = {
        "columns": {
            "k": {"dtype": "utf8", "key": True, "nullable": False},
            "strict": {"dtype": "float32"},
            "lax": {"dtype": "float32", "strict": False},
        }
    }
    server.create(table, schema)
    small = pa.array([0.5], pa.float32())
    big = pa.array([1e300], pa.float64())
    server.write(table, pa.table({"k": ["a"], "strict": small, "lax": big}))
    assert server.fetch(table, {"k": ["a"]}, ["lax"])["lax"] == [None]  # infinity, in JSON
    answer = server.put(
        f"/api/v1/table/{table}/write", pa.table({"k": ["a"], "strict": big, "lax": big})
    )
    assert answer.status == 400
    assert "'strict'" in answer.error


def test_patch_keeps_what_it_does_not_name(server, filled):
    server.write(
        filled, {"columns": {"user": ["a", "n"], "item": [1, 1], "score": [3, 4]}}, "patch"
    )
    got = server.fetch(filled, {"user": ["a", "n"], "item": [1, 1]}, ["score", "name"])
    assert got == {"_idx": [0, 1], "score": [3.0, 4.0], "name": ["x", None]}
    path = f"/api/v1/table/{filled}/write"
    body = {"columns": {"user": ["a"], "item": [1], "score": [9]}}
    assert server.put(f"{path}?mode=merge", body).status == 400
    assert server.put(f"{path}?mod=patch", body).status == 400
    assert server.put(f"{path}?mode=replace", body).status == 400


def test_deletes_by_key_in_every_form(server, filled):
    path = f"/api/v1/table/{filled}/delete"
    answer = server.post(path, {"keys": {"user": ["a", "no"], "item": [1, 1]}})
    assert answer.status == 200, answer
    assert answer.headers["fletching-rows"] == "2"
    assert int(answer.headers["fletching-version"]) > 0
    gone = ipc(pa.table({"item": [2], "user": ["a"]}))
    assert server.post(path, gone, content_type=ARROW).status == 200
    left = server.fetch(filled, {"user": ["a", "a", "b"], "item": [1, 2, 1]}, [])
    assert left == {"_idx": [2]}
    assert server.post(path, {"keys": {"user": ["a"]}}).status == 400
    assert server.post("/api/v1/table/none/delete", {"keys": ["a"]}).status == 404
    server.write(filled, ROWS)
    assert len(server.fetch(filled, {"user": ["a", "a"], "item": [1, 2]}, [])["_idx"]) == 2


def test_columns_are_added_and_widened(server, filled):
    path = f"/api/v1/table/{filled}/columns"
    assert server.post(path, {"name": "n", "dtype": "int32"}).status == 201
    assert server.fetch(filled, {"user": ["a"], "item": [1]}, ["n"]) == {"_idx": [0], "n": [None]}
    row = {"user": ["a"], "item": [1], "n": [7]}
    server.write(filled, {"columns": row}, "patch")
    assert server.request("PATCH", f"{path}/n", {"dtype": "int64"}).status == 200
    server.write(filled, {"columns": {**row, "user": ["b"], "n": [2**40]}}, "patch")
    got = server.fetch(filled, {"user": ["a", "b"], "item": [1, 1]}, ["n"])
    assert got == {"_idx": [0, 1], "n": [7, 2**40]}
    assert server.request("PATCH", f"{path}/n", {"dtype": "int8"}).status == 400
    assert server.request("PATCH", f"{path}/none", {"dtype": "int64"}).status == 404
    assert server.request("PATCH", f"{path}/n", {"dtype": "int65"}).status == 422
    assert server.post(path, {"name": "n", "dtype": "int32"}).status == 409
    assert server.post(path, {"name": "m", "dtype": "int32", "nullable": False}).status == 400
    assert server.post("/api/v1/table/none/columns", {"name": "m", "dtype": "utf8"}).status == 404


def test_compact_answers_when_done(server, filled):
    for _ in range(3):
        server.write(filled, ROWS)
    answer = server.post(f"/api/v1/table/{filled}/compact")
    assert (answer.status, answer.body) == (200, b"")
    assert server.get(f"/api/v1/table/{filled}").json["row_count"] == 3
    assert server.post("/api/v1/table/none/compact").status == 404


def test_ttl_hides_rows(server, table):
    schema = {"ttl": "1h", "event_time": "t"}
    schema["columns"] = {
        "k": {"dtype": "utf8", "key": True, "nullable": False},
        "t": {"dtype": "timestamp[us, UTC]"},
    }
    server.create(table, schema)
    server.write(
        table,
        {"columns": {"k": ["old", "new"], "t": ["2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"]}},
    )
    assert server.fetch(table, {"k": ["old", "new"]}, [])["_idx"] == [1]
    shown = server.get(f"/api/v1/table/{table}/schema").json
    assert (shown["ttl"], shown["event_time"]) == ("1h", "t")


def test_table_info_counts(server, filled):
    info = server.get(f"/api/v1/table/{filled}").json
    assert info["name"] == filled
    assert info["row_count"] == 3
    assert info["health"] == "ok"
    assert info["schema"] == SCHEMA
    assert server.get("/api/v1/table/none").status == 404
