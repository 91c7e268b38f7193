"""`fletching sql`: one statement, many from a file, and a person at a prompt."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import fletching
import pyarrow as pa
import pytest


@pytest.fixture
def folder(tmp_path):
    with fletching.open(tmp_path / "features") as db:
        db.create_table("docs", {"id": "utf8", "score": "float64", "clicks": "int64"}, key="id")
        db.write(
            "docs",
            {"id": [f"d{n}" for n in range(300)], "score": [n / 4 for n in range(300)],
             "clicks": [None if n % 3 == 0 else n for n in range(300)]},
        )  # fmt: skip
    return str(tmp_path / "features")


def run(*arguments, stdin=None):
    command = [sys.executable, "-m", "fletching", "sql", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60)


def test_formats(folder):
    query = "SELECT id, clicks FROM docs WHERE score < 0.5 ORDER BY id"
    done = run(folder, query)
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.decode().splitlines()] == [
        ["id", "clicks"],
        ["d0", "NaN"],
        ["d1", "1.0"],
    ]
    assert run(folder, query, "--format", "csv").stdout == b"id,clicks\nd0,\nd1,1\n"
    lines = run(folder, query, "--format", "json").stdout.decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"id": "d0", "clicks": None},
        {"id": "d1", "clicks": 1},
    ]
    table = pa.ipc.open_stream(run(folder, "FROM docs", "--format", "arrow").stdout).read_all()
    assert table.num_rows == 300


def test_rows_and_parameters(folder):
    done = run(folder, "FROM docs")
    assert len(done.stdout.decode().splitlines()) == 101
    assert b"there may be more" in done.stderr
    done = run(folder, "FROM docs ORDER BY id", "--rows", "3", "--format", "csv")
    assert len(done.stdout.decode().splitlines()) == 4
    query = "SELECT id FROM docs WHERE id = $id AND score >= $least"
    done = run(folder, query, "--param", "id=d7", "--param", "least=1.75", "--format", "csv")
    assert done.stdout == b"id\nd7\n"
    assert b"no rows of id" in run(folder, query, "--param", "id=x", "--param", "least=0").stdout


def test_errors(folder, tmp_path):
    for arguments, words in (
        ([folder, "SELEC"], b"Parser Error"),
        ([folder, "FROM dosc"], b"did you mean 'docs'"),
        ([folder, "SELECT $a"], b"1 parameters"),
        ([folder, "SELECT 1", "--param", "x"], b"NAME=VALUE"),
        ([str(tmp_path / "nowhere"), "SELECT 1"], b"is no data folder"),
        ([folder, "SELECT sum(a.range*b.range) FROM range(9999999) a, range(9999999) b",
          "--timeout", "0.1"], b"longer than 100 ms"),
    ):  # fmt: skip
        done = run(*arguments)
        assert done.returncode == 2, done
        assert words in done.stderr


def test_statements_of_a_file(folder):
    text = b"SELECT 1 AS a;\n\nSELECT count(*)\n  AS n FROM docs;\nSELECT 'x;y' AS t"
    done = run(folder, "--format", "csv", stdin=text)
    assert done.stdout == b"a\n1\nn\n300\nt\nx;y\n", done.stderr


def test_a_prompt(folder, tmp_path):
    """On a real terminal: lines, commands, an error that ends nothing, a history that is kept."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "TERM": "dumb"}
    command = [sys.executable, "-m", "fletching", "sql", folder]
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    seen = ""

    def until(words: str) -> None:
        nonlocal seen
        end = time.monotonic() + 60
        while words not in seen:
            assert time.monotonic() < end, seen
            if select.select([ours], [], [], 1)[0]:
                seen += os.read(ours, 65536).decode()
        seen = seen.partition(words)[2]

    def send(text: str) -> None:
        os.write(ours, text.encode())

    until("fletching> ")
    send(".tables\n")
    until("docs  300 rows")
    send(".schema docs\n")
    until("id utf8 key")
    send("SELECT count(*)\n")
    until("...> ")
    send("AS counted FROM docs;\n")
    until("counted")
    until("300")
    send("SELECT nothing FROM docs;\n")
    until("error: Binder Error")
    until("fletching> ")
    send("SELECT 'dropped\n")
    until("...> ")
    child.send_signal(signal.SIGINT)
    until("fletching> ")
    send(".timer\n")
    until("timer on")
    send("SELECT 42 AS answer;\n")
    until("42")
    until(" ms")
    send(".quit\n")
    assert child.wait(30) == 0
    os.close(ours)
    assert "SELECT 42 AS answer;" in (tmp_path / "fletching" / "sql_history").read_text()
