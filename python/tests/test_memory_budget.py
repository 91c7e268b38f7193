"""`memory_budget_bytes`: rows that have no room in memory come from the disk, and are the same."""

import pickle

import fletching
import numpy as np
import pytest


@pytest.fixture
def folder(tmp_path):
    count = 100_000
    with fletching.open(tmp_path / "db") as db:
        db.create_table("t", {"id": "int64", "a": "float32", "text": "utf8"}, key="id")
        numbers = np.arange(count)
        texts = [f"text {n}" * (n % 5) for n in numbers]
        db.write("t", {"id": numbers, "a": numbers.astype("float32"), "text": texts})
        db.compact("t")
    return tmp_path / "db"


def check(db: fletching.Database) -> None:
    keys = list(range(0, 110_000, 37))
    answer = db.read("t", keys).to_arrow()
    expected = [float(key) if key < 100_000 else None for key in keys]
    assert answer.column("a").to_pylist() == expected
    texts = [f"text {key}" * (key % 5) if key < 100_000 else None for key in keys]
    assert answer.column("text").to_pylist() == texts


def test_answers_are_the_same(folder):
    for budget, is_cold in ((0, False), (2 << 20, True), (1 << 30, False)):
        with fletching.open(folder, "r", memory_budget_bytes=budget) as db:
            usage = db.memory_usage()
            assert usage.budget_bytes == budget
            assert (usage.cold_row_bytes > 0) == is_cold
            assert (usage.index_bytes > 0) == (budget > 0)
            for _ in range(2):
                check(db)


def test_writes_go_on(folder):
    with fletching.open(folder, memory_budget_bytes=2 << 20) as db:
        db.write("t", {"id": [5, 200_000], "a": np.float32([-1, -2]), "text": ["x", "y"]})
        assert db.read("t", [5, 200_000, 6]).to_numpy()["a"].tolist() == [-1, -2, 6]
        db.write("t", {"id": [5], "a": np.float32([7])}, mode="patch")
        assert db.read("t", [5]).to_arrow().to_pylist() == [{"a": 7.0, "text": "x"}]
        db.compact("t")
        assert db.memory_usage().cold_row_bytes > 0
        assert db.read("t", [5, 200_000, 6]).to_numpy()["a"].tolist() == [7, -2, 6]


def test_a_pickle_keeps_it(folder):
    db = fletching.open(folder, "r", memory_budget_bytes=2 << 20)
    with db, pickle.loads(pickle.dumps(db)) as other:
        assert other.memory_budget_bytes == 2 << 20
        assert other.memory_usage().cold_row_bytes > 0
        check(other)


def test_less_than_nothing_is_refused(tmp_path):
    with pytest.raises(fletching.InvalidArgumentError, match="no limit"):
        fletching.open(tmp_path, memory_budget_bytes=-1)
