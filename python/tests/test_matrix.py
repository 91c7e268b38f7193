"""read_matrix: numbers as a model eats them."""

import os
import threading
import time

import fletching
import numpy as np
import pyarrow as pa
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
        (np.empty((2, 2), np.int8), "another dtype than float32"),
        (np.empty((2, 2), ">f4"), "another dtype than float32|lends no memory"),
        (np.empty(4, np.float32), "out has 1 dimensions; a matrix has two"),
        ([[0, 0], [0, 0]], "out lends no memory"),
        (np.broadcast_to(np.float32(0), (2, 2)), "out is read-only"),
    ]:
        with pytest.raises(ValueError, match=message):
            numbers.read_matrix("t", [1, 2], ["i", "f"], out=bad)
    with pytest.raises(ValueError, match="out is of float32, not of float64"):
        numbers.read_matrix("t", [1, 2], ["i", "f"], out=out[:2, :2], dtype=np.float64)


def test_a_matrix_of_nothing_has_a_shape(numbers):
    assert numbers.read_matrix("t", [], ["i", "f"]).shape == (0, 2)
    assert numbers.read_matrix("t", [1, 2], []).shape == (2, 0)


class Tensor:
    """Memory that only DLPack shows, as a tensor of another library."""

    def __init__(self, array, device=1):
        self.array, self.device, self.dtype = array, device, f"other.{array.dtype}"

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return (self.device, 0)


def test_a_matrix_is_written_into_tensors(numbers):
    out = Tensor(np.zeros((2, 2), np.float32))
    assert numbers.read_matrix("t", [1, 2], ["i", "f"], out=out) is out
    assert numbers.read_matrix("t", [1, 2], ["i", "f"], out=out, dtype=np.float32) is out
    assert out.array.tolist() == [[1, 0.5], [2, 1]]
    with pytest.raises(ValueError, match=r"out is of other.float32, not of float64"):
        numbers.read_matrix("t", [1, 2], ["i", "f"], out=out, dtype="float64")
    frozen = np.zeros((2, 2), np.float32)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        numbers.read_matrix("t", [1, 2], ["i", "f"], out=Tensor(frozen))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("shape", ["rows apart", "upwards", "by columns", "odd bytes"])
def test_a_matrix_is_written_whatever_its_strides(numbers, dtype, shape):
    out = {
        "rows apart": np.full((300, 6), 77, dtype)[:, 1:4],
        "upwards": np.full((300, 3), 77, dtype)[::-1],
        "by columns": np.full((3, 300), 77, dtype).T,
        "odd bytes": np.frombuffer(bytearray(300 * 3 * 8 + 1), np.uint8)[1:].view(dtype)[: 300 * 3],
    }[shape].reshape(300, 3)
    whole = out.base if shape == "rows apart" else None
    assert numbers.read_matrix("t", range(300), ["i", "b", "u"], out=out) is out
    n = np.arange(300)
    np.testing.assert_array_equal(out, np.stack([n, n % 2 == 0, n], axis=1).astype(dtype))
    if whole is not None:
        assert (whole[:, [0, 4, 5]] == 77).all()


def test_halves_become_what_is_asked_for(db):
    halves = np.array([0, 1.5, -2, 65504, 6e-8, np.inf, np.nan], np.float16)
    db.write("h", {"id": np.arange(7), "h": halves, "f": halves.astype(np.float32) / 3}, key="id")
    for dtype in (np.float16, np.float32, np.float64):
        matrix = db.read_matrix("h", np.arange(8), ["h", "f"], dtype=dtype)
        expected = np.stack([halves.astype(np.float32), halves.astype(np.float32) / 3], axis=1)
        np.testing.assert_array_equal(matrix[:7], expected.astype(dtype))
        assert np.isnan(matrix[7]).all()
    np.testing.assert_array_equal(
        db.read("h", np.arange(7), ["h"]).to_matrix(np.float32)[:, 0], halves.astype(np.float32)
    )


def test_every_place_a_row_can_be_in(db):
    """In memory, in one file, in several; with constant, sparse and added columns; deleted."""
    columns = {"a": "float32", "b": "float32", "same": "float32", "few": "float32", "n": "int32"}
    db.create_table("p", {"id": "utf8", **columns}, key="id")
    expected = {}

    def write(ids):
        ids = list(ids)
        few = [float(i) if i % 50 == 0 else None for i in ids]
        rows = {
            "id": [f"k{i}" for i in ids],
            "a": np.array(ids, np.float32),
            "b": -np.array(ids, np.float32),
            "same": np.full(len(ids), 7, np.float32),
            "few": pa.array(few, pa.float32()),
            "n": np.array(ids, np.int32),
        }
        db.write("p", rows)
        for i in ids:
            expected[f"k{i}"] = [i, -i, 7, i if i % 50 == 0 else np.nan, i]

    def check():
        keys = [f"k{i}" for i in range(0, 6000, 3)] + ["none"]
        missing = [np.nan] * 5
        values = np.array([expected.get(key, missing) for key in keys], np.float32)
        np.testing.assert_array_equal(db.read_matrix("p", keys), values)
        only = db.read_matrix("p", keys, ["n"], dtype=np.int64, fill=-1)[:, 0]
        numbers = np.where(np.isnan(values[:, 4]), -1, values[:, 4])
        np.testing.assert_array_equal(only, numbers)
        np.testing.assert_array_equal(
            db.read_matrix("p", keys, ["b", "a", "same"], dtype=np.float64),
            values[:, [1, 0, 2]].astype(np.float64),
        )

    write(range(4000))
    check()
    db.compact("p")
    check()
    write(range(3000, 5000))
    write(range(10))
    check()
    db.delete("p", [f"k{i}" for i in range(100, 200)])
    for i in range(100, 200):
        del expected[f"k{i}"]
    check()
    db.compact("p")
    check()
    db.widen_column("p", "n", "int64")
    db.add_column("p", "later", "float32")
    db.add_column("p", "count", "int8")
    later = db.read_matrix("p", ["k0", "k3"], ["n", "later"])
    np.testing.assert_array_equal(later, [[0, np.nan], [3, np.nan]])
    assert db.read_matrix("p", ["k3"], ["n", "count"], dtype=np.int64, fill=9).tolist() == [[3, 9]]
    with pytest.raises(fletching.SchemaMismatchError, match="column 'count' has nulls"):
        db.read_matrix("p", ["k0", "k3"], ["n", "count"], dtype=np.int64)


def test_more_keys_than_one_slice(numbers):
    keys = np.arange(40_000) % 400
    matrix = numbers.read_matrix("t", keys, ["d", "u"], fill=-1)
    expected = np.where(keys[:, None] < 300, np.stack([keys * 0.25, keys], axis=1), -1)
    np.testing.assert_array_equal(matrix, expected.astype(np.float32))
    numbers.write("t", {"id": [7], "u": np.array([2**33], np.uint64)}, mode="patch")
    last = np.append(np.zeros(20_000, np.int64), 7)
    with pytest.raises(fletching.SchemaMismatchError, match="8589934592 of row 20000 does not"):
        numbers.read_matrix("t", last, ["u"], dtype=np.int32)


def test_a_child_of_a_fork_reads_matrices(numbers):
    out = np.zeros((2, 1), np.float32)
    expected = numbers.read_matrix("t", [4, 5], ["f"]).tolist()
    child = os.fork()
    if child == 0:
        is_right = numbers.read_matrix("t", [4, 5], ["f"], out=out).tolist() == expected
        os._exit(0 if is_right else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert out.tolist() == [[0], [0]]


def test_other_threads_run_while_a_matrix_is_read(numbers):
    keys = np.arange(2_000_000) % 300
    stop = threading.Event()
    counted = []

    def count():
        turns = 0
        while not stop.is_set():
            turns += 1
            time.sleep(0.001)
        counted.append(turns)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        matrix = numbers.read_matrix("t", keys, ["u"], dtype=np.int64)
    finally:
        stop.set()
        thread.join()
    assert (matrix[:, 0] == keys).all()
    assert counted[0] > 2
