"""The demo's own eyes: what compares every value has to see each kind of difference."""

import importlib.util
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

PATH = Path(__file__).parents[2] / "demo" / "compare.py"

SOURCE = pd.DataFrame(
    {
        "text": ["a", None],
        "number": [1, 2],
        "gap": [1.0, None],
        "real": [0.1, 0.0],
        "at": pd.to_datetime(["2013-01-01T10:00:00Z", None]),
    }
)
ANSWER = pa.table(
    {
        "text": ["a", None],
        "number": pa.array([1, 2], pa.int8()),
        "gap": pa.array([1, None], pa.int16()),
        "real": [0.1, 0.0],
        "at": pa.array([1356998400 + 36000, None], pa.timestamp("s", "UTC")),
    }
)


@pytest.fixture(scope="module")
def differences():
    spec = importlib.util.spec_from_file_location("compare", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.differences


def test_equal_is_equal(differences):
    assert differences(SOURCE, ANSWER) == []


@pytest.mark.parametrize(
    "name, values",
    [
        ("text", ["a", ""]),
        ("text", ["A", None]),
        ("number", [1, 3]),
        ("number", [None, 2]),
        ("gap", pa.array([1, 0], pa.int16())),
        ("gap", [1.0, float("nan")]),
        ("real", [0.1, -0.0]),
        ("real", [0.1, 5e-324]),
        ("at", pa.array([1357034399, None], pa.timestamp("s", "UTC"))),
    ],
)
def test_a_difference_is_seen(differences, name, values):
    at = ANSWER.schema.get_field_index(name)
    found = differences(SOURCE, ANSWER.set_column(at, name, pa.array(values)))
    assert len(found) == 1
    assert f"column {name}: 1 values differ" in found[0]


def test_a_missing_row_is_seen(differences):
    assert differences(SOURCE, ANSWER.slice(1)) == ["1 rows where there should be 2"]
