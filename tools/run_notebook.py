#!/usr/bin/env python3
"""Runs a notebook from top to bottom and writes what its cells answer into it.

    tools/run_notebook.py docs/notebooks/first_hour.ipynb

With the kernel of this interpreter, in a folder that is gone afterwards.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

CELL_SECONDS_MAX = 300


def run_notebook(path: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs. Errors: CellExecutionError naming the cell that raised."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="fletching-notebook-") as folder:
        # Nothing of the user's own: no settings, no history, no other kernels.
        settings = {
            name: str(Path(folder, name.lower()))
            for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")
        }
        settings["JUPYTER_RUNTIME_DIR"] = settings["JUPYTER_DATA_DIR"]
        settings["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=CELL_SECONDS_MAX,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        client.execute(env={**os.environ, **settings})
    return notebook


def main() -> int:
    for name in sys.argv[1:]:
        notebook = run_notebook(Path(name))
        # The same bytes whoever runs it: the interpreter's version is nobody's business here.
        notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
        nbformat.write(notebook, name)
        print(f"{name}: {len(notebook.cells)} cells")
    return 0


if __name__ == "__main__":
    sys.exit(main())
