"""/openapi.json is true: schemathesis sends what it promises, 200 examples per operation."""

import os
import subprocess
from pathlib import Path

import pytest
from fletching._keygen import new_key
from openapi_spec_validator import validate

HERE = Path(__file__).parent
EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "200"))


def test_the_document_is_valid(server):
    document = server.get("/openapi.json").json
    validate(document)
    assert document["openapi"] == "3.1.0"


def start(make_server, tmp_path, with_keys: bool):
    """-> server with a table, and what schemathesis has to send"""
    if not with_keys:
        return make_server(), {}
    secret, line = new_key("schemathesis", "admin", [])
    (tmp_path / "keys").write_text(line + "\n")
    return make_server("--keys-file", tmp_path / "keys"), {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("with_keys", [False, True], ids=["open", "with keys"])
def test_every_answer_is_as_described(make_server, tmp_path, with_keys):
    server, headers = start(make_server, tmp_path, with_keys)
    created = server.put(
        "/api/v1/table/docs",
        {
            "key": "doc_id",
            "columns": {
                "doc_id": {"dtype": "utf8"},
                "score": {"dtype": "float32"},
                "count": {"dtype": "int8"},
            },
        },
        **headers,
    )
    assert created.status == 201, created
    command = [HERE.parents[1] / ".venv/bin/st", "--config-file", HERE / "schemathesis.toml"]
    command += ["run", f"{server.url}/openapi.json", "--checks", "all", "--continue-on-failure"]
    # One worker: Python before 3.11.5 loses count of its depth when two threads parse source at the
    # same time ("AST constructor recursion depth mismatch"), and Hypothesis parses lambdas.
    command += ["--max-examples", str(EXAMPLES), "--no-color", "--workers", "1"]
    for name, value in headers.items():
        command += ["--header", f"{name}: {value}"]
    env = {**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)}
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env,
        timeout=900,
        check=False,
    )
    print(result.stdout[-20_000:])
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
    assert server.alive()
    assert '"status":500' not in server.log_path.read_text()
