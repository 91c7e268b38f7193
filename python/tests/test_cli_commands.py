"""Commands beside those of test_cli.py: bench, completion, and what all have in common."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import fletching
import pytest
from fletching import _cli

COMMANDS = _cli._parser()._subparsers._group_actions[0].choices


def settings(**more):
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}


def run(*arguments, **environment):
    command = [sys.executable, "-m", "fletching", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=settings(**environment))


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "features"
    with fletching.open(path) as db:
        db.write("t", {"id": list(range(1000)), "n": list(range(1000))}, key="id")
        db.write("names", {"id": ["a", "b"], "name": ["x", "y"]}, key="id")
    return path


# -- all commands -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "serve"])
def test_every_help_has_an_example(name):
    text = COMMANDS[name].format_help()
    assert "examples:" in text
    assert f"fletching {name} " in text.split("examples:")[1]


@pytest.mark.parametrize("command", ["tables", "head", "get", "compact", "verify"])
def test_a_folder_without_tables_is_an_error_and_stays_as_it_is(command, tmp_path):
    rest = {"head": ["t"], "get": ["t", "k"], "compact": ["t"]}.get(command, [])
    done = run(command, tmp_path / "nothing", *rest)
    assert done.returncode == 2
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "photos").mkdir()
    done = run(command, tmp_path / "photos", *rest, "--json")
    assert done.returncode == 2
    assert "is no data folder" in done.stderr
    assert done.stdout == ""
    assert list((tmp_path / "photos").iterdir()) == []


def test_a_full_disk_ends_a_load_and_loses_nothing(folder, tmp_path):
    """The limit on file size stands for the disk: what follows from either is the same."""
    (tmp_path / "rows.csv").write_text("id,n\n" + "".join(f"{at},1\n" for at in range(200_000)))
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "from fletching._cli import main\n"
        f"sys.exit(main(['load', {str(folder)!r}, 't', {str(tmp_path / 'rows.csv')!r}]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=settings()
    )
    assert done.returncode == 2, done.stderr
    assert "fletching: " in done.stderr
    assert "Traceback" not in done.stderr
    done = run("get", folder, "t", "7", "--json")
    assert json.loads(done.stdout) == {"id": 7, "n": 7}
    assert run("verify", folder).returncode == 0


# -- bench --------------------------------------------------------------------------------------


def test_bench_makes_a_table_and_leaves_nothing(tmp_path):
    arguments = ["bench", "--rows", "5000", "--columns", "3", "--keys", "10", "--seconds", "0.05"]
    done = run(*arguments, "--json", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["rows"] == 5000
    assert figures["columns"] == 3
    assert figures["load_rows_per_second"] > 0
    for way in ("arrow", "numpy", "pandas"):
        assert 0 < figures["reads"][way]["p50_us"] <= figures["reads"][way]["p99_us"]
    assert "rows/s" in done.stderr
    assert list(tmp_path.iterdir()) == []
    done = run(*arguments, "--quiet", TMPDIR=str(tmp_path))
    assert "p99 us" in done.stdout
    assert done.stderr == ""


def test_bench_reads_a_table_that_is_there(folder):
    done = run("bench", "--path", folder, "--seconds", "0.05", "--keys", "5")
    assert done.returncode == 2
    assert "--table: names, t" in done.stderr
    arguments = ["bench", "--path", folder, "--seconds", "0.05", "--keys", "5", "--json"]
    figures = json.loads(run(*arguments, "--table", "t").stdout)
    assert figures["rows"] == 1000
    assert "load_rows_per_second" not in figures
    figures = json.loads(run(*arguments, "--table", "names").stdout)
    assert "error" in figures["reads"]["numpy"]  # text is no matrix
    assert "p50_us" in figures["reads"]["arrow"]


def test_bench_refuses_what_cannot_be(tmp_path):
    done = run("bench", "--rows", "99999999999999", TMPDIR=str(tmp_path))
    assert done.returncode == 2
    assert "fewer --rows" in done.stderr
    assert run("bench", "--rows", "0").returncode == 2
    assert run("bench", "--table", "t").returncode == 2


def test_an_interrupted_bench_removes_its_folder(tmp_path):
    command = [sys.executable, "-m", "fletching", "bench", "--rows", "20000", "--seconds", "60"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=settings(TMPDIR=str(tmp_path))
    )
    while not list(tmp_path.iterdir()) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


# -- completion ---------------------------------------------------------------------------------


def complete_in_bash(script, *words, cwd):
    """What bash offers for the last word."""
    code = (
        'source script.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fletching; '
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    (cwd / "script.bash").write_text(script)
    command = ["bash", "--norc", "-c", code, "bash", "fletching", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.fixture(scope="module")
def bash_script():
    done = run("completion", "bash")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bash_completes_commands_options_choices_and_files(bash_script, tmp_path):
    def offered(*words):
        return complete_in_bash(bash_script, *words, cwd=tmp_path)

    (tmp_path / "a b.parquet").touch()
    assert offered("lo") == ["load"]
    assert set(offered("")) == set(COMMANDS)
    assert "--version" in offered("--")
    assert offered("load", "--la") == ["--layout"]
    assert offered("load", "--layout", "") == ["hash", "blob", "feast"]
    assert offered("load", "x", "t", "redis://h", "--layout", "f") == ["feast"]
    assert offered("load", "x", "t", "a") == ["a b.parquet"]
    assert offered("bench", "--path", "a") == ["a b.parquet"]
    assert offered("completion", "") == ["bash", "zsh", "fish"]
    assert offered("load", "--nothing") == [""]


def test_every_option_is_in_every_script():
    for shell in ("bash", "zsh", "fish"):
        text = run("completion", shell).stdout
        for name, parser in COMMANDS.items():
            assert name in text
            for action in parser._actions:
                for option in action.option_strings:
                    wanted = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
                    assert (wanted if shell == "fish" else option) in text


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_zsh_accepts_its_script(tmp_path):
    (tmp_path / "_fletching").write_text(run("completion", "zsh").stdout)
    subprocess.run(["zsh", "-n", tmp_path / "_fletching"], check=True)


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
def test_fish_completes(tmp_path):
    (tmp_path / "script.fish").write_text(run("completion", "fish").stdout)
    command = "source script.fish; complete -C 'fletching load --layout f'"
    done = subprocess.run(
        ["fish", "-c", command], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.split("\t")[0] == "feast"
