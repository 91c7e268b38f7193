"""The benchmark of object storage runs, so that it cannot rot. It measures nothing here."""

import json
import subprocess
import sys

from s3_gateway import ROOT


def test_the_benchmark_runs(tmp_path):
    command = [sys.executable, ROOT / "bench/s3_bench.py", "--smoke", "--dir", tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert len(json.loads(ran.stdout.splitlines()[-1])["results"]) == 2
