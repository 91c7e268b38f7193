#!/usr/bin/env python3
"""Installs a wheel into an empty virtual environment and does there what a new user does first.

    tools/try_wheel.py dist/*.whl

The environment has what pip puts there and no programs on its PATH: no compiler, no Debian
library. Runs the Python blocks of the README, the command `fletching`, and a server that is
written to and read from; the libraries that it has mapped have to come out of the environment.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What every Linux has, by the manylinux rules.
SYSTEM_LIBRARIES = re.compile(
    r"/(ld-linux-x86-64|lib(c|m|dl|rt|pthread|util|gcc_s|stdc\+\+|z|expat))(-[\d.]+)?\.so[.\d]*$"
)


class Trial:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "venv" / "bin"
        empty = folder / "no-programs"
        empty.mkdir()
        self.bare = {"PATH": str(empty), "HOME": str(folder), "LANG": "C.UTF-8"}

    def install(self, wheel: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(self.bin.parent)], check=True)
        pip = [str(self.bin / "python"), "-m", "pip", "--disable-pip-version-check"]
        # pandas for the README's frames; the pins are those of the build, to fetch nothing twice.
        wanted = ["-c", "requirements-build.txt", str(wheel), "pandas"]
        environment = {**os.environ, "PATH": self.bare["PATH"]}
        environment.pop("PYTHONPATH", None)
        run([*pip, "install", "-q", "--only-binary=:all:", *wanted], environment, ROOT)
        run([*pip, "check"], environment, ROOT)

    def quickstart(self) -> None:
        text = (ROOT / "README.md").read_text()
        blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
        program = self.folder / "quickstart.py"
        program.write_text("\n".join(blocks))
        printed = self.run(self.bin / "python", program)
        assert "[ True False  True]" in printed, printed
        promised = re.search(r"print\(error\) +# (.*)", text)[1]
        assert printed.endswith(promised + "\n"), printed

    def command_line(self) -> None:
        version = self.run(self.bin / "fletching", "--version").split()[1]
        assert f"-{version}-" in self.wheel_name(), version
        assert "docs" in self.run(self.bin / "fletching", "tables", "features")
        assert "all as written" in self.run(self.bin / "fletching", "verify", "features")

    def server(self) -> None:
        command = [self.bin / "fletching", "serve", "--data-dir", "features"]
        command += ["--http", "127.0.0.1:0", "--flight", "127.0.0.1:0"]
        errors = self.folder / "server.log"
        with errors.open("w") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.bare, stdout=subprocess.PIPE, stderr=log
            )
        try:
            ready = process.stdout.readline()
            assert ready, errors.read_text()
            address = json.loads(ready)["http"]
            table = f"http://{address}/api/v1/table/docs"
            row = {"columns": {"doc_id": ["w"], "score": [0.25], "clicks": [9]}}
            request("PUT", table + "/write", row)
            answer = request("POST", table + "/fetch", {"keys": ["w"], "columns": ["clicks"]})
            assert answer["columns"]["clicks"] == [9], answer
            self.check_mapped(Path(f"/proc/{process.pid}/maps").read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(timeout=60)
        assert status == 0, f"fletchingd ended with {status}: {errors.read_text()}"

    def check_mapped(self, maps: str) -> None:
        """Every library is the environment's own or one that each Linux has."""
        mapped = {line.split(maxsplit=5)[5] for line in maps.splitlines() if ".so" in line}
        inside = {path for path in mapped if path.startswith(f"{self.folder}/")}
        assert any("libarrow.so" in path for path in inside), sorted(mapped)
        foreign = [path for path in mapped - inside if not SYSTEM_LIBRARIES.search(path)]
        assert not foreign, f"libraries from outside the environment: {sorted(foreign)}"

    def wheel_name(self) -> str:
        (record,) = self.bin.parent.glob("lib/python3*/site-packages/fletching-*.dist-info")
        return record.name.replace(".dist-info", "-")

    def run(self, *command: object) -> str:
        return run([str(part) for part in command], self.bare, self.folder)


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def request(verb: str, url: str, body: dict) -> dict:
    headers = {"Content-Type": "application/json"}
    sent = urllib.request.Request(url, json.dumps(body).encode(), headers, method=verb)
    with urllib.request.urlopen(sent, timeout=60) as answer:
        return json.loads(answer.read() or b"{}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel.resolve()
    folder = Path(tempfile.mkdtemp(prefix="fletching-wheel-"))
    try:
        trial = Trial(folder)
        for name in ("install", "quickstart", "command_line", "server"):
            started = time.monotonic()
            step = getattr(trial, name)
            step(wheel) if name == "install" else step()
            print(f"ok    {name.replace('_', ' ')} ({time.monotonic() - started:.1f} s)")
    finally:
        shutil.rmtree(folder)
    print(f"wheel: {wheel.name} works in an empty environment")
    return 0


if __name__ == "__main__":
    sys.exit(main())
