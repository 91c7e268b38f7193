#!/usr/bin/env bash
# make lint: runs every check, prints each one's verdict, fails if any did.
# make fmt (--fix): writes what a formatter can write, and checks nothing.
set -uo pipefail
cd "$(dirname "$0")/.."
bin="$PWD/.venv/bin"

files() {  # tracked and new files that match, NUL-separated
  git ls-files -zco --exclude-standard -- "$@" |
    while IFS= read -r -d '' file; do [[ -f $file ]] && printf '%s\0' "$file"; done
}
cpp() { files '*.cc' '*.h' | xargs -0 -r -n 16 -P "$(nproc)" "$@"; }

if [[ ${1:-} == --fix ]]; then
  cpp "$bin/clang-format" -i
  "$bin/ruff" check --fix --quiet .
  "$bin/ruff" format --quiet .
  exit 0
fi

failed=()
step() {  # step <name> <command...>: its output is shown only if it fails or has something to say
  local name=$1 output status started=$SECONDS
  shift
  output="$("$@" 2>&1)"
  status=$?
  [[ -n $output ]] && sed 's/^/  /' <<<"$output"
  if ((status == 0)); then echo "ok    $name ($((SECONDS - started)) s)"
  else echo "FAIL  $name"; failed+=("$name"); fi
}

step "C++ format (make fmt)" cpp "$bin/clang-format" --dry-run --Werror
step "Python style" "$bin/ruff" check --quiet .
step "Python format (make fmt)" "$bin/ruff" format --check --quiet .
step "spelling" "$bin/codespell" --toml pyproject.toml
for check in tools/check_*.py; do
  step "${check#tools/}" "$bin/python" "$check"
done
step "shell syntax" bash -n tools/*.sh .ci/run

if ((${#failed[@]})); then
  echo "lint: ${#failed[@]} failed: ${failed[*]}"
  exit 1
fi
echo "lint: clean"
