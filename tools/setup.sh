#!/usr/bin/env bash
# Makes a machine ready, and does nothing where it is ready already.
#
#   tools/setup.sh build     compilers, libraries, .venv for building and for the demo
#   tools/setup.sh dev       the same, and what tests and lint need, an S3 server among it
#   tools/setup.sh fuzz      dev and clang with libFuzzer
#   tools/setup.sh bench     dev and nginx, the yardstick of the HTTP benchmark
#   tools/setup.sh rivals    the stores that benchmarks compare us with, and .venv-rivals
#   tools/setup.sh torch     .venv-torch with PyTorch, five gigabytes, for its tests
#   tools/setup.sh murr019   .venv-murr019 with the older client, for one test
#
# PYTHON=/path/to/python picks the interpreter of .venv (3.11 or newer).
# FLETCHING_SKIP_APT=1 leaves Debian packages alone: you have them by other means.
set -euo pipefail
cd "$(dirname "$0")/.."
level="${1:-build}"

packages=(
  g++ make cmake ninja-build ccache mold git curl ca-certificates pkg-config
  python3 python3-dev python3-venv
  libboost1.81-dev
  libcli11-dev libcurl4-openssl-dev libfmt-dev libgtest-dev libpugixml-dev libspdlog-dev libssl-dev
  liburing-dev libxxhash-dev libyaml-cpp-dev prometheus-cpp-dev
)
test_packages=(redis-server prometheus mmdebstrap libfaketime strace)
requirements=requirements-build.txt
venv=.venv
case "$level" in
  build) ;;
  dev) requirements=requirements-dev.txt; packages+=("${test_packages[@]}") ;;
  fuzz) requirements=requirements-dev.txt; packages+=("${test_packages[@]}" clang-16 libclang-rt-16-dev) ;;
  bench) requirements=requirements-dev.txt; packages+=("${test_packages[@]}" nginx-light) ;;
  rivals) requirements=requirements-rivals.txt; venv=.venv-rivals
    packages+=(redis-server postgresql-15 librocksdb-dev liblmdb-dev libpq-dev nginx-light fio) ;;
  murr019) requirements=requirements-murr019.txt; venv=.venv-murr019 ;;
  torch) requirements=requirements-torch.txt; venv=.venv-torch ;;
  *) echo "setup: do not know '$level'; see the top of tools/setup.sh" >&2; exit 2 ;;
esac

# Go builds the S3 server of the tests, once; any Go will do.
if [[ $requirements == requirements-dev.txt ]] && ! command -v go >/dev/null &&
  [[ ! -x /usr/local/go/bin/go ]]; then packages+=(golang-go); fi

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# One setup at a time: two verbs started together would both write into .venv.
mkdir -p build
exec 9>build/.setup.lock
flock 9

missing_packages() {
  # dpkg-query lists what it knows, one "name status" a line, and grumbles about the rest.
  local installed
  installed="$(dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n' "${packages[@]}" 2>/dev/null |
               awk '$2 == "ii" {print $1}' || true)"
  comm -23 <(printf '%s\n' "${packages[@]}" | sort) <(sort <<<"$installed")
}

install_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    fail "this machine has no apt-get. Fletching builds on Debian 12; elsewhere install the" \
         "equivalents of these packages and run again with FLETCHING_SKIP_APT=1: ${packages[*]}"
  fi
  local missing
  mapfile -t missing < <(missing_packages)
  [[ ${#missing[@]} -eq 0 ]] && return
  local root=()
  if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null ||
      fail "these Debian packages are missing and there is no sudo here; as root, run:" \
           "apt-get install ${missing[*]}"
    root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  local quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
  "${root[@]}" "${quiet[@]}" update || say "apt-get update failed; trying with the lists at hand"
  "${root[@]}" "${quiet[@]}" install -y --no-install-recommends "${missing[@]}" >build/.apt.log 2>&1 || {
    tail -20 build/.apt.log >&2
    fail "apt-get could not install the packages. They are those of Debian 12 (bookworm); the" \
         "whole output is in build/.apt.log"
  }
}

# Debian's own interpreter first: its headers came with python3-dev above.
find_python() {
  local candidate
  for candidate in "${PYTHON:-}" /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
    [[ -n $candidate ]] && command -v "$candidate" >/dev/null || continue
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
    then echo "$candidate"; return; fi
  done
  fail "no Python 3.11 or newer with the venv module; name one with PYTHON=/path/to/python"
}

install_wheels() {
  local stamp wanted
  stamp="$venv/.stamp-$requirements"  # holds the hash of the lists it was made from
  wanted="$(cat requirements-build.txt "$requirements" | sha256sum)"
  [[ -x $venv/bin/python && "$(cat "$stamp" 2>/dev/null)" == "$wanted" ]] && return
  if [[ ! -x $venv/bin/python ]]; then
    local python
    python="$(find_python)"
    say "making $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
  fi
  say "installing Python packages of $requirements"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
  echo "$wanted" >"$stamp"
}

# Lets .venv/bin/python import the package as built here: the release build if there is one, else
# dev. PYTHONPATH comes before either, and the test verbs use it to name the build they test.
install_path_file() {
  local folder
  folder="$(echo "$venv"/lib/python3*/site-packages)"
  printf '%s\n' "$PWD/build/release/python" "$PWD/build/dev/python" >"$folder/fletching_build.pth"
}

install_s3_server() {
  tools/versitygw.sh >/dev/null || say "there is no S3 server, so the tests of tests/s3 will fail"
}

started=$SECONDS
[[ ${FLETCHING_SKIP_APT:-} == 1 ]] || install_packages
install_wheels
[[ $venv != .venv ]] || install_path_file
[[ $requirements != requirements-dev.txt ]] || install_s3_server
if ((SECONDS - started > 1)); then say "ready for '$level' after $((SECONDS - started)) s"; fi
