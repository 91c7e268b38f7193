"""The native module and pyarrow are of one build, or importing says why not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow
from fletching import _arrow

ROOT = Path(__file__).parents[2]


def test_every_pin_names_the_version_that_importing_asks_for():
    assert pyarrow.__version__ == _arrow.VERSION
    pin = f"pyarrow=={_arrow.VERSION}"
    assert (ROOT / "requirements-build.txt").read_text().count(f"{pin}\n") == 1
    pins = re.findall(r"pyarrow==[\d.]+", (ROOT / "pyproject.toml").read_text())
    assert pins == [pin, pin]  # to build, to run


def test_another_pyarrow_is_an_import_error_that_names_both_and_the_fix():
    # Another version's number on the real package: a second pyarrow would be 45 MB to fetch.
    program = "import pyarrow; pyarrow.__version__ = '25.0.0'; import fletching"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: fletching was built with pyarrow {_arrow.VERSION}, but pyarrow 25.0.0 is "
        f"installed; fix: pip install pyarrow=={_arrow.VERSION}, or a fletching made for "
        "pyarrow 25.0.0"
    )
