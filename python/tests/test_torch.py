"""Results as PyTorch takes them, and databases in a DataLoader. `make test-torch` runs this."""

import pickle

import fletching
import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")

COUNT = 2000
ROWS = pa.table(
    {
        "id": np.arange(COUNT),
        "f": pa.array(np.arange(COUNT) / 2, pa.float32()),
        "n": np.arange(COUNT) * 3,
        "b": pa.array([i % 2 == 0 for i in range(COUNT)]),
        "maybe": pa.array([None if i % 3 == 0 else float(i) for i in range(COUNT)]),
        "text": [f"t{i}" for i in range(COUNT)],
    }
)


@pytest.fixture
def filled(db):
    db.write("n", ROWS, key="id")
    return db


def test_columns_become_tensors(filled):
    result = filled.read("n", [4, 3, 0], ["f", "n", "b", "maybe"])
    tensors = result.to_torch()
    assert tensors["f"].dtype == torch.float32
    assert tensors["f"].tolist() == [2.0, 1.5, 0.0]
    assert tensors["n"].dtype == torch.int64
    assert tensors["n"].tolist() == [12, 9, 0]
    assert tensors["b"].tolist() == [True, False, True]
    assert tensors["maybe"].dtype == torch.float64
    assert tensors["maybe"][0] == 4.0
    assert torch.isnan(tensors["maybe"][1:]).all()
    address = result.to_arrow()["f"].buffers()[1].address
    assert tensors["f"].data_ptr() == address  # no copy
    with pytest.raises(fletching.SchemaMismatchError, match="'text' is string"):
        filled.read("n", [1]).to_torch()


def test_a_result_is_a_matrix_by_dlpack(filled):
    matrix = torch.from_dlpack(filled.read("n", [4, 3], ["f", "n"]))
    assert matrix.dtype == torch.float64  # what holds float32 and int64
    assert matrix.tolist() == [[2.0, 12.0], [1.5, 9.0]]
    assert torch.from_dlpack(filled.read("n", [4, 3], ["f"])).dtype == torch.float32
    assert torch.from_dlpack(filled.read("n", [4, 3], ["n"])).dtype == torch.int64
    assert np.from_dlpack(filled.read("n", [4], ["f"])).tolist() == [[2.0]]


def test_a_matrix_goes_into_a_tensor(filled):
    out = torch.empty(3, 2)
    filled.read_matrix("n", [4, 3, COUNT], ["f", "n"], out=out.numpy(), fill=-1)
    assert out.tolist() == [[2.0, 12.0], [1.5, 9.0], [-1.0, -1.0]]
    for dtype in (torch.float16, torch.float32, torch.float64, torch.int64):
        whole = torch.full((3, 4), 7, dtype=dtype)
        columns = ["n"] if dtype == torch.int64 else ["f"]
        filled.read_matrix("n", [4, 3, COUNT], columns, out=whole[:, 1:2], fill=-1)
        expected = [12, 9, -1] if dtype == torch.int64 else [2.0, 1.5, -1.0]
        assert whole.tolist() == [[7, value, 7, 7] for value in expected]
    with pytest.raises(ValueError, match=r"out is of torch\.float32, not of float64"):
        filled.read_matrix("n", [4, 3, COUNT], ["f", "n"], out=out, dtype="float64")


def test_tensors_are_written(db):
    columns = {
        "id": torch.arange(4),
        "x": torch.rand(4),
        "embedding": torch.rand(4, 8),
        "half": torch.rand(4).to(torch.float16),
    }
    db.write("t", columns, key="id")
    assert db.schema("t").field("embedding").type == pa.list_(pa.float32(), 8)
    batch = db.read("t", torch.tensor([3, 1]), ["x", "embedding", "half"]).to_arrow()
    assert batch["x"].to_pylist() == columns["x"][[3, 1]].tolist()
    assert batch["embedding"].to_pylist() == columns["embedding"][[3, 1]].tolist()
    assert [float(value) for value in batch["half"].to_pylist()] == columns["half"][[3, 1]].tolist()


def test_tensors_that_cannot_be_written_say_why(db):
    for column, words in [
        (torch.rand(2, requires_grad=True), "column 'x': .*detach"),
        (torch.rand(2).to(torch.bfloat16), "column 'x': .*BFloat16"),
    ]:
        with pytest.raises(fletching.SchemaMismatchError, match=words):
            db.write("t", {"id": [1, 2], "x": column}, key="id")


class Features(torch.utils.data.Dataset):
    def __init__(self, db):
        self.db = db

    def __len__(self):
        return COUNT

    def __getitems__(self, keys):
        matrix = self.db.read_matrix("n", keys, ["f", "n"])
        return [torch.from_numpy(row) for row in matrix]


@pytest.mark.parametrize("method", [None, "fork", "spawn", "forkserver"])
def test_a_database_in_a_data_loader(filled, method):
    loader = torch.utils.data.DataLoader(
        Features(filled),
        batch_size=100,
        num_workers=0 if method is None else 2,
        multiprocessing_context=method,
    )
    seen = torch.cat(list(loader))
    keys = torch.arange(COUNT)
    assert torch.equal(seen, torch.stack([keys / 2, keys * 3.0], 1).float())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_client_in_a_data_loader(http, method):
    client = fletching.connect(f"{http.connection.host}:{http.connection.port}")
    client.write("n", ROWS, key="id")
    pickle.loads(pickle.dumps(client))
    loader = torch.utils.data.DataLoader(
        Features(client), batch_size=100, num_workers=2, multiprocessing_context=method
    )
    assert torch.cat(list(loader)).shape == (COUNT, 2)
