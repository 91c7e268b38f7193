#!/bin/bash
# collect.sh BUILD ROOT: puts into ROOT what an image needs on top of Debian's slim one: fletchingd of
# the build folder BUILD, the libraries it loads, and the health check.
#
#   opt/fletching/fletching/bin/fletchingd    finds Arrow in ../../pyarrow
#   opt/fletching/pyarrow/                    Arrow's libraries
#   usr/lib/x86_64-linux-gnu/                 Debian's libraries that the slim image lacks
#   usr/bin/fletchingd, usr/lib/fletching/healthcheck.sh
set -euo pipefail
build="$1" root="$2"
here="$(dirname "$0")"

cmake --install "$build" --component daemon --prefix "$root/opt/fletching" --strip >/dev/null
mkdir -p "$root/opt/fletching/pyarrow" "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin"
install -D -m 0755 "$here/healthcheck.sh" "$root/usr/lib/fletching/healthcheck.sh"
ln -sf /opt/fletching/fletching/bin/fletchingd "$root/usr/bin/fletchingd"

# "libarrow.so.2600 => /.../libarrow.so.2600 (0x...)". Those of glibc and gcc are in every Debian.
ldd "$build/bin/fletchingd" | awk '$2 == "=>" {print $1, $3}' |
while read -r name path; do
  case "$name" in
    libc.so.* | libm.so.* | libdl.so.* | librt.so.* | libpthread.so.*) continue ;;
    libstdc++.so.* | libgcc_s.so.*) continue ;;
    libarrow* | libparquet*) folder=opt/fletching/pyarrow ;;
    *) folder=usr/lib/x86_64-linux-gnu ;;
  esac
  [[ $path == /* ]] || { echo "collect: $name was not found: $path" >&2; exit 1; }
  install -m 0644 "$path" "$root/$folder/$name"
done

# Loaded when there are keys or certificates.
for name in libcrypto.so.3 libssl.so.3; do
  install -m 0644 "/usr/lib/x86_64-linux-gnu/$name" "$root/usr/lib/x86_64-linux-gnu/$name"
done
