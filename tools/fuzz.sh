#!/usr/bin/env bash
# tools/fuzz.sh <build folder> <name or nothing> <seconds>: runs one fuzzer, or each in turn.
# New inputs that reach new code go to build/fuzz/corpus/<name>/; a crasher is written beside them
# and belongs into tests/corpus/<name>/ together with its fix.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 wanted=$2 seconds=$3
shopt -s nullglob
programs=("$build"/fuzz/${wanted:-*}_fuzz)
((${#programs[@]})) || { echo "fuzz: there is no fuzzer '${wanted:-*}'" >&2; exit 2; }
for program in "${programs[@]}"; do
  name="$(basename "$program" _fuzz)"
  found="$build/corpus/$name"
  mkdir -p "$found" "tests/corpus/$name"
  echo "fuzz: $name for $seconds s"
  "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="$found/" "$found" "tests/corpus/$name"
done
