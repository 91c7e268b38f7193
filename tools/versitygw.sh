#!/usr/bin/env bash
# Builds versitygw, the S3 server of the tests, once per machine and user, and prints where it is.
#
# It lies in ~/.cache/fletching (XDG_CACHE_HOME moves it), so that clones and clean builds share it.
# FLETCHING_VERSITYGW=/path/to/versitygw names another one, and nothing is built.
#
# Its go.mod asks for Go 1.25. A Go of 1.21 or newer fetches what it needs by itself; Debian's 1.19
# cannot, so it fetches the toolchain as the module golang.org/toolchain, checksums and all, which is
# what a newer one would do.
set -euo pipefail
version=v1.8.0
toolchain=go1.26.8
needed_minor=25

if [[ -n ${FLETCHING_VERSITYGW:-} ]]; then echo "$FLETCHING_VERSITYGW"; exit; fi
folder="${XDG_CACHE_HOME:-$HOME/.cache}/fletching"
target="$folder/versitygw-$version"
if [[ -x $target ]]; then echo "$target"; exit; fi

minor_of() { "$1" env GOVERSION 2>/dev/null | sed -nE 's/^go1\.([0-9]+).*/\1/p'; }
best='' best_minor=0
for go in go /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
  command -v "$go" >/dev/null || continue
  minor="$(GOTOOLCHAIN=local minor_of "$go")"
  if ((${minor:-0} > best_minor)); then best="$(command -v "$go")" best_minor=$minor; fi
done
[[ -n $best ]] || { echo "versitygw.sh: no Go here; fix: apt-get install golang-go" >&2; exit 1; }

mkdir -p "$folder"
exec 9>"$folder/.lock"
flock 9
if [[ -x $target ]]; then echo "$target"; exit; fi
echo "versitygw.sh: building versitygw $version, some minutes, once" >&2
unset GOFLAGS GOROOT
if ((best_minor < 21)); then
  module="golang.org/toolchain@v0.0.1-$toolchain.linux-$("$best" env GOARCH)"
  (cd / && GO111MODULE=on "$best" mod download "$module")
  root="$("$best" env GOMODCACHE)/$module"
  chmod -R u+w "$root/bin" "$root/pkg/tool"
  chmod -R u+x "$root/bin" "$root/pkg/tool"
  # A module's zip may hold no other go.mod, so these were renamed.
  while IFS= read -r -d '' file; do
    chmod u+w "$(dirname "$file")"
    mv "$file" "$(dirname "$file")/go.mod"
  done < <(find "$root" -name _go.mod -print0)
  best="$root/bin/go"
  export GOTOOLCHAIN=local
elif ((best_minor < needed_minor)); then
  export GOTOOLCHAIN=auto
fi
building="$(mktemp -d "$folder/.building.XXXXXX")"
trap 'rm -rf "$building"' EXIT
GOBIN="$building" CGO_ENABLED=0 nice "$best" install -buildvcs=false \
  "github.com/versity/versitygw/cmd/versitygw@$version"
mv "$building/versitygw" "$target"
echo "$target"
