"""The command `fletching`."""

import os
import subprocess
import sys
from pathlib import Path

import fletching
import pytest


def run(*arguments):
    command = [sys.executable, "-m", "fletching", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "features"
    with fletching.open(path) as db:
        db.write("t", {"id": list(range(1000)), "n": list(range(1000))}, key="id")
        db.compact("t")
    return path


def test_verify_says_that_all_is_well(folder):
    done = run("verify", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all as written\n")


def test_verify_names_damage_and_fails(folder):
    segment = max(folder.rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    done = run("verify", folder)
    assert done.returncode == 1
    assert segment.name in done.stdout
    assert "offset" in done.stdout


def test_verify_of_nothing_is_a_clear_error(tmp_path):
    done = run("verify", tmp_path / "nothing")
    assert done.returncode == 2
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_becomes_the_server():
    if not os.environ.get("FLETCHINGD"):
        pytest.skip("FLETCHINGD does not name the server")
    done = run("serve", "--version")
    assert done.returncode == 0, done.stderr
    assert fletching.__version__ in done.stdout


def test_the_package_and_the_build_have_one_version():
    root = Path(__file__).parents[2]
    assert f'version = "{fletching.__version__}"' in (root / "pyproject.toml").read_text()
    assert f"VERSION {fletching.__version__} " in (root / "CMakeLists.txt").read_text()
