"""The older form of the interface: a list of keys, dense answers, the paths of the first plan."""

import pyarrow as pa
import pytest

ARROW = "application/vnd.apache.arrow.stream"
FORM = "application/x-www-form-urlencoded"
SCHEMA = {
    "key": "doc_id",
    "columns": {
        "doc_id": {"dtype": "utf8", "nullable": False},
        "score": {"dtype": "float32", "nullable": True},
        "title": {"dtype": "utf8", "nullable": True},
    },
}


@pytest.fixture
def docs(server, table):
    server.create(table, SCHEMA)
    server.write(
        table, {"columns": {"doc_id": ["a", "b"], "score": [0.1, None], "title": ["A", "B"]}}
    )
    return table


def test_a_seed_schema_is_shown_as_it_was_created(server, docs):
    assert server.get(f"/api/v1/table/{docs}/schema").json == SCHEMA
    assert server.get("/api/v1/table").json[docs] == SCHEMA


def test_the_key_may_be_a_list(server, table):
    schema = {"key": ["u", "i"], "columns": {"u": {"dtype": "utf8"}, "i": {"dtype": "int64"}}}
    server.create(table, schema)
    shown = server.get(f"/api/v1/table/{table}/schema").json
    assert shown["key"] == ["u", "i"]
    answer = server.post(f"/api/v1/table/{table}/fetch", {"keys": ["a"], "columns": []})
    assert answer.status == 400
    assert "'u', 'i'" in answer.error


def test_unknown_members_at_the_top_are_ignored(server, table):
    server.create(table, {**SCHEMA, "poll_interval": "5m", "source": {"local": {"path": "/x"}}})
    assert server.get(f"/api/v1/table/{table}/schema").json == SCHEMA


@pytest.mark.parametrize(
    ("status", "schema"),
    [
        (400, {**SCHEMA, "key": "nope"}),
        (400, {**SCHEMA, "key": "score"}),
        (422, {**SCHEMA, "key": 1}),
        (422, {"key": "a", "columns": {"a": {"dtype": "utf8", "unknown": 1}}}),
        (422, {"key": "a"}),
    ],
)
def test_wrong_schemas(server, table, status, schema):
    answer = server.put(f"/api/v1/table/{table}", schema)
    assert answer.status == status, answer
    assert answer.error


def test_answers_are_dense_and_in_the_order_of_the_keys(server, docs):
    got = server.fetch(docs, ["b", "zz", "a", "a"], ["title", "score"])
    assert list(got) == ["title", "score"]
    assert got["title"] == ["B", None, "A", "A"]
    assert got["score"] == [None, None, 0.10000000149011612, 0.10000000149011612]
    assert server.fetch(docs, [], ["score"]) == {"score": []}
    assert server.fetch(docs, ["a"], []) == {}


def test_arrow_answers_are_one_dense_batch(server, docs):
    body = {"keys": ["b", "zz", "a"], "columns": ["score"]}
    answer = server.post(f"/api/v1/table/{docs}/fetch", body, accept=f"text/html, {ARROW}")
    table = answer.table
    assert table.schema == pa.schema([pa.field("score", pa.float32())])
    assert len(table.to_batches()) == 1
    assert table.to_pydict()["score"][:2] == [None, None]


def test_a_table_never_written_answers_nulls(server, table):
    server.create(table, SCHEMA)
    assert server.fetch(table, ["a", "b"], ["score"]) == {"score": [None, None]}


def test_other_members_of_the_body_are_ignored(server, docs):
    body = {"keys": ["a"], "columns": ["title"], "timeout": 3, "trace": {"keys": []}}
    answer = server.post(f"/api/v1/table/{docs}/fetch", body)
    assert answer.json == {"columns": {"title": ["A"]}}


def test_both_forms_work_on_every_table(server, docs):
    sparse = server.fetch(docs, {"doc_id": ["zz", "a"]}, ["title"])
    assert sparse == {"_idx": [1], "title": ["A"]}


def test_key_columns_are_not_fetched(server, docs):
    body = {"keys": ["a"], "columns": ["doc_id"]}
    assert server.post(f"/api/v1/table/{docs}/fetch", body).status == 400


@pytest.mark.parametrize("content_type", [None, FORM, "application/json; charset=utf-8"])
@pytest.mark.parametrize("path", ["/api/v1/table/{}/fetch", "/v1/{}", "/v1/{}/_fetch"])
def test_json_is_known_by_its_first_brace(server, docs, path, content_type):
    body = b' {"keys": ["a"], "columns": ["title"]}'
    answer = server.post(path.format(docs), body, content_type=content_type)
    assert answer.json == {"columns": {"title": ["A"]}}, answer


def test_other_content_types_are_400(server, docs):
    body = b'{"keys": ["a"], "columns": ["title"]}'
    for content_type in ("text/plain", "application/octet-stream", "json"):
        answer = server.post(f"/api/v1/table/{docs}/fetch", body, content_type=content_type)
        assert answer.status == 400
        answer = server.put(f"/api/v1/table/{docs}/write", body, content_type=content_type)
        assert answer.status == 400
        assert "application/json" in answer.error


def test_float64_and_large_strings_of_pandas_are_taken(server, table):
    server.create(table, SCHEMA)
    rows = pa.table(
        {
            "doc_id": pa.array(["a", "b"], pa.large_utf8()),
            "score": pa.array([0.25, 0.5], pa.float64()),
            "title": pa.array(["x", "x"]).dictionary_encode(),
        }
    )
    server.write(table, rows)
    got = server.fetch(table, ["a", "b"], ["score", "title"])
    assert got == {"score": [0.25, 0.5], "title": ["x", "x"]}


def test_numbers_are_parsed_as_the_declared_type(server, table):
    schema = {
        "key": "k",
        "columns": {"k": {"dtype": "utf8"}, "i": {"dtype": "int32"}, "f": {"dtype": "float64"}},
    }
    server.create(table, schema)
    server.write(table, {"columns": {"k": ["a"], "i": [7], "f": [7]}})
    assert server.fetch(table, ["a"], ["i", "f"]) == {"i": [7], "f": [7.0]}
    path = f"/api/v1/table/{table}/write"
    for bad in ([1.5], ["1"], [2**31], [True], [[1]]):
        answer = server.put(path, {"columns": {"k": ["a"], "i": bad, "f": [1]}})
        assert answer.status == 400, (bad, answer)
        assert "'i'" in answer.error


def test_nulls_where_none_may_be_are_400_in_every_format(server, table):
    schema = {
        "key": "k",
        "columns": {"k": {"dtype": "utf8"}, "v": {"dtype": "int32", "nullable": False}},
    }
    server.create(table, schema)
    path = f"/api/v1/table/{table}/write"
    assert server.put(path, {"columns": {"k": ["a"], "v": [None]}}).status == 400
    assert server.put(path, {"columns": {"k": [None], "v": [1]}}).status == 400
    rows = pa.table({"k": ["a"], "v": pa.array([None], pa.int32())})
    assert server.put(path, rows).status == 400
    assert server.fetch(table, ["a"], ["v"]) == {"v": [None]}


def test_unknown_paths_and_methods(server, docs):
    assert server.get("/api/v1/nothing").status == 404
    answer = server.request("PATCH", f"/api/v1/table/{docs}/fetch")
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


def test_health_is_ok_as_text_and_as_json(server):
    answer = server.get("/health")
    assert (answer.body, answer.headers["content-type"]) == (b"OK", "text/plain; charset=utf-8")
    assert server.get("/health", accept="application/json").json == {"status": "ok"}
    assert server.get("/livez").status == 200
    assert server.get("/readyz").status == 200
