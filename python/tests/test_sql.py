"""`sql`: the same call on an embedded database and on a server, into everything a model eats."""

import gc
from contextlib import ExitStack

import fletching
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest


@pytest.fixture(params=["embedded", "remote"])
def db(request, tmp_path, serve):
    with ExitStack() as stack:
        if request.param == "embedded":
            made = fletching.open(tmp_path / "data")
        else:
            http = stack.enter_context(serve(tmp_path / "data"))
            made = fletching.connect(f"http://{http.connection.host}:{http.connection.port}")
        yield filled(made)
        made.close()


def filled(made):
    made.create_table("docs", {"id": "utf8", "score": "float32", "count": "int64"}, key="id")
    numbers = np.arange(5000)
    made.write(
        "docs",
        pa.table(
            {
                "id": [f"d{n}" for n in numbers],
                "score": pa.array(numbers / 4, type=pa.float32(), mask=numbers % 10 == 0),
                "count": numbers % 7,
            }
        ),
    )
    return made


def test_into_every_form(db):
    query = (
        "SELECT count, avg(score) AS mean, count(*) AS n FROM docs GROUP BY count ORDER BY count"
    )
    expected = {"count": list(range(7)), "n": [715, 715, 714, 714, 714, 714, 714]}
    frame = db.sql(query).to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame["count"].tolist() == expected["count"]
    assert frame["n"].tolist() == expected["n"]
    assert db.sql(query).to_polars()["n"].to_list() == expected["n"]
    assert db.sql(query).to_numpy()["n"].tolist() == expected["n"]
    assert db.sql(query).to_arrow().num_rows == 7
    assert pl.DataFrame(db.sql(query)).shape == (7, 3)
    assert pa.table(db.sql(query)).num_rows == 7
    assert sum(batch.num_rows for batch in db.sql("SELECT * FROM docs")) == 5000
    result = db.sql(query)
    assert result.schema.names == ["count", "mean", "n"]
    assert repr(result) == "SqlResult(count int64, mean double, n int64)"


@pytest.mark.parametrize(
    "ids",
    [
        ["d3", "d10", "none"],
        ("d3", "d10"),
        np.array(["d3", "d10"]),
        pd.Series(["d3", "d10"]),
        pa.array(["d3", "d10"]),
    ],
    ids=["list", "tuple", "numpy", "pandas", "arrow"],
)
def test_parameters(db, ids):
    query = "SELECT id, score FROM docs WHERE id IN (SELECT unnest($ids)) ORDER BY id"
    rows = db.sql(query, {"ids": ids}).to_arrow().to_pylist()
    assert rows == [{"id": "d10", "score": None}, {"id": "d3", "score": 0.75}]
    one = db.sql("SELECT $1 + 1 AS a, $2 AS b, $3 AS c", [np.int64(4), True, None])
    assert one.to_arrow().to_pylist() == [{"a": 5, "b": True, "c": None}]


def test_errors(db):
    with pytest.raises(fletching.InvalidArgumentError, match="Parser Error"):
        db.sql("SELEC 1")
    with pytest.raises(fletching.NotFoundError, match="did you mean 'docs'"):
        db.sql("SELECT * FROM dosc")
    with pytest.raises(PermissionError, match="read_text is not offered"):
        db.sql("SELECT * FROM read_text('/etc/passwd')")
    with pytest.raises(fletching.InvalidArgumentError, match="give times as text"):
        db.sql("SELECT $1", [pd.Timestamp("2026-01-01")])
    with pytest.raises(fletching.InvalidArgumentError, match="64-bit"):
        db.sql("SELECT $1", [2**70])
    with pytest.raises(fletching.InvalidArgumentError, match="a list, or a dict"):
        db.sql("SELECT $1", "d1")
    with pytest.raises(TimeoutError):
        db.sql(
            "SELECT sum(a.range * b.range) FROM range(9999999) a, range(9999999) b", timeout_ms=100
        ).to_arrow()
    with pytest.raises(ValueError, match="more than 10 rows"):
        db.sql("SELECT * FROM range(100000)", rows_max=10).to_arrow()


def test_a_result_outlives_what_it_came_from(tmp_path):
    db = fletching.open(tmp_path / "data")
    db.create_table("docs", {"id": "int64", "score": "float32"}, key="id")
    db.write("docs", {"id": np.arange(100_000), "score": np.ones(100_000, dtype=np.float32)})
    result = db.sql("SELECT id, score FROM docs")
    first = next(iter(result))
    del db
    gc.collect()
    assert first.num_rows + result.to_arrow().num_rows == 100_000
