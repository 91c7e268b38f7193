"""The checks of make lint, tried on small trees with one thing wrong in each."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent

GOOD = {
    "include/fletching/engine.h": "#pragma once\n",
    "include/fletching/schema.h": '#pragma once\n#include "arrow/type_fwd.h"\n',
    "src/base/CMakeLists.txt": "fletching_module(base SOURCES a.cc HEADERS a.h)\n",
    "src/base/a.h": "#pragma once\n#include <string>\n",
    "src/base/a.cc": '#include "base/a.h"\n#include "fletching/schema.h"\n',
    "src/io/CMakeLists.txt": "fletching_module(io\n  DEPENDS base\n  SOURCES file.cc)\n",
    "src/io/file.cc": '#include "base/a.h"\n',
}


def run(check: str, tree: Path, files: dict[str, str]) -> tuple[int, str]:
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = [sys.executable, str(TOOLS / check), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_a_good_tree_passes(tmp_path):
    assert run("check_layers.py", tmp_path, GOOD) == (0, "layers: 5 files, 0 problems\n")


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("src/base/a.cc", '#include "io/file.h"\n', "room io is not in DEPENDS of room base"),
        ("src/base/a.cc", '#include "fletching/engine.h"\n', "is a door"),
        ("src/base/a.cc", '#include "a.h"\n', "write the room in front"),
        ("src/base/a.cc", "#include <boost/asio.hpp>\n", "belongs in: src/api/http/*.cc"),
        ("src/base/a.h", '#pragma once\n#include "arrow/array.h"\n', "is heavy"),
        ("src/base/a.h", "#pragma once\n#include <filesystem>\n", "is heavy"),
        ("src/base/extra.cc", "", "is not named in src/base/CMakeLists.txt"),
        ("src/util/a.cc", "", "stands in no room"),
        ("include/fletching/engine.h", '#include "base/a.h"\n', "may not show"),
        ("src/base/CMakeLists.txt", "fletching_module(base DEPENDS io SOURCES a.cc HEADERS a.h)\n",
         "DEPENDS names 'io'"),
    ],
)  # fmt: skip
def test_one_wrong_line_is_named(tmp_path, name, text, complaint):
    status, output = run("check_layers.py", tmp_path, GOOD | {name: text})
    assert status == 1
    assert complaint in output
    assert "1 problems" in output


def test_over_budget_is_listed_and_twice_the_budget_fails(tmp_path):
    line = "int x;\n"
    assert run("check_budget.py", tmp_path, {"src/base/a.h": line * 150})[1].startswith("budget: 0")
    status, output = run("check_budget.py", tmp_path, {"src/base/a.h": line * 151})
    assert status == 0
    assert "src/base/a.h: 151 lines, budget 150" in output
    assert run("check_budget.py", tmp_path, {"src/base/a.h": line * 301})[0] == 1
    excused = "// A table of constants.\n// Size: one line per constant of the standard.\n"
    assert run("check_budget.py", tmp_path, {"src/base/a.h": excused + line * 301})[0] == 0


def test_a_long_function_fails_with_its_name(tmp_path):
    body = "int Long(int x) {\n" + "  x++;  // a { in a comment\n" * 140 + "  return x;\n}\n"
    status, output = run(
        "check_budget.py", tmp_path, {"src/base/a.cc": "namespace a {\n" + body + "}\n"}
    )
    assert status == 1
    assert "src/base/a.cc:2 Long: 143 lines" in output
