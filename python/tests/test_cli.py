"""The command `fletching`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fletching
import pyarrow as pa
import pyarrow.parquet as pq
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


def test_load_makes_a_table_and_says_how_many(tmp_path):
    folder, rows = tmp_path / "features", pa.table({"id": ["a", "b"], "n": [1, 2]})
    pq.write_table(rows, tmp_path / "rows.parquet")
    done = run("load", folder, "t", tmp_path / "rows.parquet", "--key", "id")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 rows in table 't', version 1\n"
    assert "rows/s" in done.stderr
    done = run("load", folder, "t", tmp_path / "rows.parquet", "--quiet", "--json")
    assert json.loads(done.stdout) == {"rows": 2, "version": 2}
    assert done.stderr == ""
    done = run("load", folder, "u", tmp_path / "rows.parquet")
    assert done.returncode == 2
    assert "does not exist" in done.stderr


def test_tables_and_rows_are_shown_to_people_and_to_programs(folder):
    assert run("tables", folder).stdout.splitlines()[1].split()[:2] == ["t", "1,000"]
    (table,) = json.loads(run("tables", folder, "--json").stdout)
    assert table["columns"] == {"id": "int64", "n": "int64"}
    assert len(run("head", folder, "t", "-n", "3").stdout.splitlines()) == 4
    rows = [json.loads(line) for line in run("head", folder, "t", "--json").stdout.splitlines()]
    assert len(rows) == 10
    assert all(row["id"] == row["n"] for row in rows)


def test_get_shows_rows_and_names_keys_that_are_not_there(folder):
    done = run("get", folder, "t", "7", "5", "--columns", "n", "--json")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"id": 7, "n": 7},
        {"id": 5, "n": 5},
    ]
    done = run("get", folder, "t", "7", "5000")
    assert done.returncode == 1
    assert done.stdout.split() == ["id", "n", "7", "7"]
    assert "no key '5000'" in done.stderr
    done = run("get", folder, "t", "seven")
    assert done.returncode == 2
    assert "key column 'id'" in done.stderr


def test_compact_says_what_it_saved(folder):
    with fletching.open(folder) as db:
        db.write("t", {"id": list(range(1000)), "n": [0] * 1000})
    done = run("compact", folder, "t", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"bytes_before", "bytes_after"}


def test_snapshots_are_taken_and_restored(tmp_path, folder):
    done = run("snapshot", folder, tmp_path / "snap", "--verify")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"1 tables in {tmp_path / 'snap'}, ")
    done = run("restore", tmp_path / "snap", tmp_path / "back", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["table_count"], answer["left_out"]) == (1, [])
    with fletching.open(tmp_path / "back", "r") as copy:
        assert copy.table("t").row_count == 1000
    done = run("restore", tmp_path / "snap", tmp_path / "back")
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    for manifest in (tmp_path / "snap").rglob("*.flman"):
        manifest.unlink()
    assert run("restore", tmp_path / "snap", tmp_path / "new").returncode == 2
    done = run("restore", tmp_path / "snap", tmp_path / "new", "--no-verify")
    assert done.returncode == 1
    assert "left out: table '00000001' is damaged" in done.stderr


def test_inspect_shows_any_file(folder):
    done = run("inspect", folder)
    assert done.returncode == 0, done.stdout
    assert "  LOCK  " in done.stdout
    assert 'manifest: table "t", 2 columns, 1 segments' in done.stdout
    for path in (path for path in folder.rglob("*") if path.is_file()):
        assert [line.problem for line in fletching.inspect(path) if line.problem] == []
        content = path.read_bytes()
        for size in (0, 5, 30, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:size])
            problem = fletching.inspect(path)[0].problem
            is_free = path.suffix == ".fllog" and size >= 56  # a log may end anywhere
            if path.name != "LOCK" and not is_free:
                assert problem.startswith("offset "), path
        path.write_bytes(content)


def test_inspect_nests_and_shows_all_when_asked(folder):
    (segment,) = folder.rglob("*.flseg")
    answer = json.loads(run("inspect", segment, "--json").stdout)
    parts = {part["name"]: part for part in answer["parts"]}
    footer = {field["name"]: field for field in parts["footer"]["parts"]}
    assert footer["row_count"]["value"] == "1000"
    assert footer["row_count"]["offset_bytes"] == segment.stat().st_size - 176 + 16
    assert len(parts["key index"]["parts"]) == 11
    answer = json.loads(run("inspect", segment, "--json", "--all").stdout)
    parts = {part["name"]: part for part in answer["parts"]}
    assert len(parts["key index"]["parts"]) > 100
    done = run("inspect", folder / "nothing")
    assert done.returncode == 2
    assert "No such file" in done.stderr


def test_inspect_shows_bytes_that_are_no_text(folder):
    (manifest,) = folder.rglob("*.flman")
    content = manifest.read_bytes()
    manifest.write_bytes(content[:44] + b"\xff" + content[45:])  # the name of the table
    done = run("inspect", manifest)
    assert done.returncode == 1
    assert "\\xff" in done.stdout
    assert "payload checksum differs" in done.stdout


def test_help_teaches_by_examples():
    text = run("--help").stdout
    assert "fletching load features docs" in text
    assert "Exit status" in text


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
