"""read_matrix: numbers as a model eats them."""

import fletching
import numpy as np
import pytest

COLUMNS = {"f": "float32", "d": "float64", "i": "int16", "u": "uint64", "b": "bool", "s": "utf8"}


@pytest.fixture
def numbers(db):
    db.create_table("t", {"id": "int64", **COLUMNS}, key="id", strict=False)
    rows = 300  # more than are copied at a time
    db.write(
        "t",
        {
            "id": np.arange(rows),
            "f": np.arange(rows, dtype=np.float32) / 2,
            "d": np.arange(rows) * 0.25,
            "i": np.arange(rows, dtype=np.int16),
            "u": np.arange(rows, dtype=np.uint64),
            "b": np.arange(rows) % 2 == 0,
            "s": [str(n) for n in range(rows)],
        },
    )
    db.write("t", {"id": [7], "f": [None], "i": np.array([7], np.int16)}, mode="patch")
    return db


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_matrix_has_a_row_per_key_and_nan_for_what_is_not_there(numbers, dtype):
    keys = [*range(299, -1, -1), 1000]
    matrix = numbers.read_matrix("t", keys, ["d", "f", "i", "u", "b"], dtype=dtype)
    assert matrix.dtype == dtype
    assert matrix.flags.c_contiguous
    n = np.arange(299, -1, -1)
    expected = np.stack([n * 0.25, n / 2, n, n, n % 2 == 0], axis=1).astype(dtype)
    expected[299 - 7, 1] = np.nan
    np.testing.assert_array_equal(matrix[:-1], expected)
    assert np.isnan(matrix[-1]).all()
    assert numbers.read_matrix("t", [7], ["f"], fill=-1).tolist() == [[-1]]


def test_integers_must_fit_and_have_a_fill(numbers):
    assert numbers.read_matrix("t", [3, 1], ["i", "b"], dtype="int32").tolist() == [[3, 0], [1, 0]]
    filled = numbers.read_matrix("t", [3, 999], ["i"], dtype=np.int64, fill=-5)
    assert filled.tolist() == [[3], [-5]]
    numbers.write("t", {"id": [1], "u": np.array([2**40], np.uint64)}, mode="patch")
    for columns, keys, options, message in [
        (["i"], [999], {}, r"column 'i' has nulls; say what takes their place: fill=0"),
        (["f"], [1], {}, r"column 'f' is float, which an integer matrix cannot hold"),
        (["u"], [0, 1], {}, r"column 'u' value 1099511627776 of row 1 does not fit"),
        (["i"], [999], {"fill": 0.5}, "fill 0.500000 does not fit an integer matrix"),
        (["i"], [999], {"fill": float("nan")}, "fill nan does not fit an integer matrix"),
    ]:
        with pytest.raises(fletching.FletchingError, match=message):
            numbers.read_matrix("t", keys, columns, dtype=np.int32, **options)
    with pytest.raises(fletching.SchemaMismatchError, match=r"column 's' is string, which is no"):
        numbers.read_matrix("t", [1], ["i", "s"])


def test_a_matrix_is_written_into_what_the_caller_has(numbers):
    out = np.full((4, 5), -1, np.float32)
    given = numbers.read_matrix("t", [1, 2], ["i", "f"], out=out[1:3, 1:3])
    assert given.base is out
    expected = np.full((4, 5), -1, np.float32)
    expected[1:3, 1:3] = [[1, 0.5], [2, 1]]
    assert out.tolist() == expected.tolist()
    for bad, message in [
        (np.empty((2, 3), np.float32), r"out has shape \(2, 3\), the answer \(2, 2\)"),
        (np.empty((2, 2), np.float16), "another dtype than float32"),
        (np.broadcast_to(np.float32(0), (2, 2)), "out is read-only"),
    ]:
        with pytest.raises(ValueError, match=message):
            numbers.read_matrix("t", [1, 2], ["i", "f"], out=bad)
    with pytest.raises(ValueError, match="out is of float32, not of float64"):
        numbers.read_matrix("t", [1, 2], ["i", "f"], out=out[:2, :2], dtype=np.float64)


def test_a_matrix_of_nothing_has_a_shape(numbers):
    assert numbers.read_matrix("t", [], ["i", "f"]).shape == (0, 2)
    assert numbers.read_matrix("t", [1, 2], []).shape == (2, 0)
