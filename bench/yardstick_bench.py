#!/usr/bin/env python3
"""`make bench B=yardstick`: all yardsticks, with the programs of the build that make just made."""

import os
import sys
from pathlib import Path

import run_yardsticks

folder = Path(os.environ.get("FLETCHING_BENCH_DIR", "")).absolute()
if (folder / "bare_loop").exists():
    sys.argv[1:1] = ["--programs", str(folder)]
run_yardsticks.main()
