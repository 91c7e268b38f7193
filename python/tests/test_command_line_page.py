"""docs/command-line.md is what the command line answers."""

import importlib.util
import os
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "tools" / "record_cli.py"


@pytest.fixture(scope="module")
def record_cli():
    spec = importlib.util.spec_from_file_location("record_cli", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_commands_answer(record_cli):
    if not os.environ.get("FLETCHINGD"):
        pytest.skip("FLETCHINGD does not name the server; `make test-python` sets it")
    differs = record_cli.difference(record_cli.record())
    assert not differs, "\n".join(["run tools/record_cli.py if this is right:", *differs])


def test_only_times_and_sizes_are_masked(record_cli):
    mask = record_cli.mask
    assert mask("9 rows, 1,234 rows/s, 0 s") == mask("9 rows, 77 rows/s, 2 min 10 s")
    assert mask("9 rows, 77 rows/s, 0 s") != mask("8 rows, 77 rows/s, 0 s")
    assert mask(" 33 %  3 rows, 7 rows/s, 1 s left\n9 rows") == mask("9 rows")
    assert mask("flights   80,789   15.7   19  key") == mask("flights   80,789   1.2   19  key")
    assert mask("flights   80,789   15.7   19  key") != mask("flights   80,780   15.7   19  key")
    assert mask('{"pid": 12, "seats": 3}') != mask('{"pid": 12, "seats": 4}')
