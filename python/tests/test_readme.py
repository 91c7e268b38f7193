"""The README's examples run, in order, as they stand."""

import os
import re
import subprocess
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_the_python_blocks_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    names["db"].close()
    printed = capsys.readouterr().out
    assert "[ True False  True]" in printed
    promised = re.search(r"print\(error\) +# (.*)", README)[1]
    assert printed.endswith(promised + "\n")


def test_the_curl_blocks_run(http):
    (block,) = blocks("bash")
    connection = http.connection
    address = f"{connection.host}:{connection.port}"
    script = block.replace("127.0.0.1:8080", address).replace("curl ", "curl -sS --fail-with-body ")
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == re.search(r"^# (\{.*?\}\}):", block, re.M)[1]
