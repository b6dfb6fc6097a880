#!/bin/sh
# build.sh OUT: a root for an arm64 guest that holds a release's arm64 executable and as little else as it runs with:
# the C library of Debian's cross compiler and the busybox of the default guest. Needs `make dist`.
set -eu
here=$(cd "$(dirname "$0")/../../.." && pwd)
out=${1:?usage: build.sh OUT}
libraries=/usr/aarch64-linux-gnu/lib
version=$(sed -n 's/^ *"version": "\(.*\)",*/\1/p' "$here/package.json")
executable=$here/dist/release/provium-$version-linux-arm64
[ -e "$executable" ] || { echo "$executable is missing: make dist" >&2; exit 1; }
[ -e "$libraries/libc.so.6" ] ||
  { echo "no C library for arm64: apt-get install --no-install-recommends libc6-arm64-cross" >&2; exit 1; }

rm -rf --one-file-system "$out.new"
mkdir -p "$out.new/bin" "$out.new/lib" "$out.new/tests"
for name in ld-linux-aarch64.so.1 libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0; do
  cp -L "$libraries/$name" "$out.new/lib/$name"
done
busybox=$(printf '%s\n' "$here"/build/guest-aarch64/packages/busybox-static_*_arm64.deb | tail -n 1)
dpkg-deb --fsys-tarfile "$busybox" | tar -xO --wildcards './*bin/busybox' >"$out.new/bin/busybox"
chmod 755 "$out.new/bin/busybox"
for applet in sh mkdir uname; do ln -s busybox "$out.new/bin/$applet"; done
cp "$executable" "$out.new/bin/provium"
cp "$(dirname "$0")/inside.test.lua" "$out.new/tests"
rm -rf --one-file-system "$out"
mv "$out.new" "$out"
