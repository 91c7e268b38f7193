"""The API reference builds, and every public name is in it with a docstring."""

import importlib.util
import sys
import types
from pathlib import Path

import fletching
import pytest

PATH = Path(__file__).parents[2] / "tools" / "build_docs.py"


@pytest.fixture(scope="module")
def build_docs():
    spec = importlib.util.spec_from_file_location("build_docs", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_documented(build_docs, tmp_path):
    modules = build_docs.load_modules()
    assert build_docs.undocumented(modules) == []
    build_docs.write_pages(modules, tmp_path)
    page = (tmp_path / "fletching.html").read_text()
    for name in fletching.__all__:
        assert f'id="{name}"' in page
    for name in ("Store.read_matrix", "ReadResult.found", "Table.scan", "TableInfo.ttl_ms"):
        assert f'id="{name}"' in page
    assert "<strong>missing</strong>" in page  # parameters are a list, not a paragraph
    assert "fletching.html" in (tmp_path / "index.html").read_text()


def test_a_name_without_words_is_named(build_docs, monkeypatch):
    module = types.ModuleType("untold", "A module.")
    exec("def silent(): ...\ndef half(*, told, not_told):\n  'told: yes.'", vars(module))
    for name in ("silent", "half"):
        getattr(module, name).__module__ = "untold"
    monkeypatch.setitem(sys.modules, "untold", module)
    found = build_docs.undocumented({"untold": build_docs.pdoc.doc.Module(module)})
    assert found == ["untold.half(not_told=)", "untold.silent"]
