"""The real client of the older generation, from its own environment, against fletchingd."""

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-murr019/bin/python"


@pytest.mark.skipif(
    not PYTHON.exists(),
    reason="the older client is not here: tools/setup.sh murr019 makes .venv-murr019",
)
def test_the_older_client_creates_writes_reads_and_lists(make_server):
    server = make_server()
    result = subprocess.run(
        [PYTHON, HERE / "murr019_steps.py", server.url],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": ""},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "done\n"
