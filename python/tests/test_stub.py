"""The checked-in stub of the native module is what the module says."""

import os
import subprocess
import sys
from pathlib import Path

import fletching

STUB = Path(fletching.__file__).with_name("_native.pyi")


def test_the_stub_is_current(tmp_path):
    generate = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "fletching._native"]
    subprocess.run([*generate, "-O", str(tmp_path)], check=True, env=path_of_the_tested_build())
    fresh = tmp_path / "_native.pyi"
    ruff = str(Path(sys.executable).with_name("ruff"))
    subprocess.run([ruff, "format", "-q", "--line-length", "100", str(fresh)], check=True)
    assert fresh.read_text() == STUB.read_text(), (
        f"run: python -m nanobind.stubgen -m fletching._native -O python/fletching && "
        f"ruff format {STUB}"
    )


def path_of_the_tested_build():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
