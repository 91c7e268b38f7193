"""Murr's own surface: the steps that its older client goes through, on ours by one import."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import fletching
import numpy as np
import pyarrow as pa
import pytest
from fletching.compat import murr
from fletching.compat.murr import aio, sync

STEPS = Path(__file__).parents[2] / "tests" / "e2e" / "murr019_steps.py"
SCHEMA = murr.TableSchema(
    key="doc_id",
    columns={
        "doc_id": murr.ColumnSchema(dtype=murr.DType.UTF8, nullable=False),
        "score": murr.ColumnSchema(dtype=murr.DType.FLOAT32),
    },
)
ROWS = pa.record_batch({"doc_id": ["a", "b"], "score": pa.array([0.5, None], pa.float32())})


def test_the_older_clients_steps_run_by_one_import(http, tmp_path):
    text = STEPS.read_text()
    moved = re.sub(r"^from murr import", "from fletching.compat.murr import", text, flags=re.M)
    assert moved != text
    (tmp_path / "steps.py").write_text(moved)
    url = f"http://{http.connection.host}:{http.connection.port}"
    done = subprocess.run(
        [sys.executable, tmp_path / "steps.py", url], capture_output=True, text=True
    )
    assert done.stdout == "done\n", done.stderr


@pytest.mark.parametrize("http_port", [None, 0])
def test_tables_in_a_folder(server, tmp_path, http_port):
    with sync.Murr.start_local(tmp_path / "cache", http_port=http_port) as local:
        local.create_table("docs", SCHEMA)
        local.write("docs", pa.table({"doc_id": ["a"], "score": [0.1], "more": [1]}))  # float64
        local.write("docs", ROWS)
        answer = local.read("docs", ["b", "x", "a"], ["score"])
        assert answer.to_pydict() == {"score": [None, None, 0.5]}
        assert local.list_tables() == {"docs": SCHEMA}
        with pytest.raises(ValueError, match="already exists"):
            local.create_table("docs", SCHEMA)
        with pytest.raises(FileNotFoundError):
            local.get_schema("none")
        with pytest.raises(RuntimeError, match="'nope'"):
            local.read("docs", ["a"], ["nope"])
        if http_port is not None:
            with sync.Murr.connect(local.address) as client:
                assert client.get_schema("docs") == SCHEMA
    with fletching.open(tmp_path / "cache") as db:  # an ordinary folder of ours
        assert db["docs"].count == 2


def test_tables_in_a_folder_for_asyncio(tmp_path):
    async def run():
        async with await aio.Murr.start_local(tmp_path) as local:
            await local.create_table("docs", SCHEMA)
            await local.write("docs", ROWS)
            assert (await local.read("docs", ["a"], ["score"])).to_pydict() == {"score": [0.5]}
            assert await local.list_tables() == {"docs": SCHEMA}

    asyncio.run(run())


def test_a_client_for_models(http):
    url = f"http://{http.connection.host}:{http.connection.port}"
    with murr.Client(url) as client:
        client.create_table("docs", SCHEMA)
        client.write("docs", ROWS)
        values = client.get("docs", ["a", "b"], ["score"]).to_numpy()["score"]
        assert values.dtype == np.float32
        assert values[0] == 0.5
        assert np.isnan(values[1])


def test_the_newer_form_of_schemas(tmp_path):
    schema = murr.TableSchema(
        columns={
            "user": {"dtype": "utf8", "key": True, "nullable": False},
            "item": {"dtype": "int64", "key": True, "nullable": False},
            "v": {"dtype": "list<float32>"},
        }
    )
    with sync.Murr.start_local(tmp_path) as local:
        local.create_table("pairs", schema)
        shown = local.get_schema("pairs")
        assert shown.key_columns == ["user", "item"]
        assert shown.columns["v"].dtype == "list<float32>"
        assert murr.TableSchema.model_validate(shown.model_dump()) == shown
        vectors = pa.array([[0.5]], pa.list_(pa.float32()))
        local.write("pairs", pa.table({"user": ["u"], "item": [1], "v": vectors}))
        assert local.read("pairs", [("u", 1)], ["v"]).to_pydict() == {"v": [[0.5]]}
