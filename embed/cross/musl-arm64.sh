#!/bin/bash
# musl-arm64.sh OUTDIR: what it takes to compile static programs for arm64 on an amd64 Debian machine.
#
#   OUTDIR/musl.specs   for aarch64-linux-gnu-gcc -specs=
#   OUTDIR/usr/...      Debian's musl-dev for arm64, unpacked; nothing is installed
#
# The package lists of the foreign architecture are kept apart from the machine's own. MUSL_DEB names a package file
# to be used instead of a download.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: musl-arm64.sh OUTDIR}
mkdir -p "$out"
out=$(cd "$out" && pwd)

die() {
  echo "provium: $1" >&2
  exit 1
}

command -v aarch64-linux-gnu-gcc >/dev/null ||
  die "no compiler for arm64: apt-get install --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross"

deb=${MUSL_DEB:-}
if [ -z "$deb" ]; then
  . "$here/apt.sh"
  foreign_apt arm64 "$out/apt"
  (cd "$out" && apt-get -q "${apt[@]}" download musl-dev:arm64 >"$out/apt.log" 2>&1) ||
    die "cannot download musl-dev for arm64: $(tail -n 3 "$out/apt.log")"
  rm -r "$out/apt"
  deb=$(echo "$out"/musl-dev_*_arm64.deb)
fi
dpkg-deb -x "$deb" "$out"

lib=$out/usr/lib/aarch64-linux-musl
include=$out/usr/include/aarch64-linux-musl
[ -e "$lib/libc.a" ] || die "$deb holds no musl for arm64"
cat >"$out/musl.specs.new" <<EOF
%rename cpp_options old_cpp_options

*cpp_options:
-nostdinc -isystem $include -isystem include%s %(old_cpp_options)

*cc1:
%(cc1_cpu) -nostdinc -isystem $include -isystem include%s

*link_libgcc:
-L$lib -L .%s

*libgcc:
libgcc.a%s %:if-exists(libgcc_eh.a%s)

*startfile:
$lib/crt1.o $lib/crti.o crtbeginT.o%s

*endfile:
crtend.o%s $lib/crtn.o

*link:
-nostdlib -static

*esp_link:


EOF
mv "$out/musl.specs.new" "$out/musl.specs"
