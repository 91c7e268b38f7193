"""The notebooks of docs/ run from top to bottom, and answer what they were committed with."""

import importlib.util
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def run_notebook():
    path = ROOT / "tools" / "run_notebook.py"
    spec = importlib.util.spec_from_file_location("run_notebook", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run_notebook


def answers(notebook):
    """(source, what it printed, what it showed) of each code cell."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [(cell.source, printed(cell), shown(cell)) for cell in cells]


def printed(cell):
    streams = [out.text for out in cell.outputs if out.output_type == "stream"]
    return "".join(streams)


def shown(cell):
    return [out.data["text/plain"] for out in cell.outputs if out.output_type == "execute_result"]


def test_there_is_a_notebook():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_was_committed_as_it_ran(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        errors = [out for out in cell.outputs if out.output_type == "error" or "stderr" in str(out)]
        assert not errors, cell.source
    assert path.stat().st_size < 100_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_answers_the_same(path, run_notebook):
    fresh = run_notebook(path)
    committed = nbformat.read(path, as_version=4)
    for now, then in zip(answers(fresh), answers(committed), strict=True):
        assert now == then, f"run: tools/run_notebook.py {path.relative_to(ROOT)}"


def test_a_cell_that_raises_fails(tmp_path, run_notebook):
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(broken, tmp_path / "broken.ipynb")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        run_notebook(tmp_path / "broken.ipynb")
