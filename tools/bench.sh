#!/usr/bin/env bash
# tools/bench.sh <build folder> <part of a name or nothing>: runs the benchmarks that match.
# C++ programs are those in build/<preset>/bench/, Python ones are bench/**/*_bench.py.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 wanted=$2
shopt -s nullglob globstar
export FLETCHINGD="$PWD/$build/bin/fletchingd" PYTHONPATH="$PWD/$build/python"
export FLETCHING_BENCH_DIR="$PWD/$build/bench"
count=0
for program in "$build"/bench/*"$wanted"* bench/**/*"$wanted"*_bench.py; do
  [[ -f $program && ($program == *.py || -x $program) ]] || continue
  echo "== $(basename "$program" .py)"
  if [[ $program == *.py ]]; then .venv/bin/python "$program"; else "$program"; fi
  count=$((count + 1))
done
((count)) || { echo "bench: nothing is called '*$wanted*'" >&2; exit 2; }
