#!/bin/bash
# deb.sh OUTDIR: a Debian package from what `make install` puts in place, built without root.
# Policy says where files go and in what form: https://www.debian.org/doc/debian-policy/
set -euo pipefail
export LC_ALL=C
umask 022

here=$(cd "$(dirname "$0")/../.." && pwd)
out=$(mkdir -p "${1:?usage: deb.sh OUTDIR}" && cd "$1" && pwd)
version=$(sed -n 's/^ *"version": "\(.*\)",*/\1/p' "$here/package.json")
architecture=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=$(git -C "$here" log -1 --format=%ct 2>/dev/null || stat -c %Y "$here/package.json")
export SOURCE_DATE_EPOCH
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 0755 "$stage"

make -s -C "$here" install DESTDIR="$stage" PREFIX=/usr
doc=$stage/usr/share/doc/provium
mkdir -p "$stage/DEBIAN" "$stage/usr/share/lintian/overrides"
gzip -9n "$stage"/usr/share/man/man*/*
{
  printf 'provium (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n' "$version"
  printf ' -- Provium maintainers <maintainers@provium.invalid>  %s\n' "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$doc/changelog.gz"
gzip -9n "$doc/CHANGELOG.md"
{
  printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: provium\n\n'
  printf 'Files: *\nCopyright: 2026 The Provium authors\nLicense: Expat\n'
  printf 'Comment: The executable carries work of others: see THIRD_PARTY.md beside this file.\n\nLicense: Expat\n'
  sed -n '/^Permission/,$p' "$here/LICENSE" | sed 's/^$/./; s/^/ /'
} >"$doc/copyright"
cat >"$stage/usr/share/lintian/overrides/provium" <<'EOF'
# The executable ends in the program and its assets, which strip(1) would cut off.
provium: unstripped-binary-or-object [usr/bin/provium]
# The Bun runtime that it carries has its image decoders compiled in.
provium: embedded-library libjpeg [usr/bin/provium]
# The Bun runtime that it carries is linked without these.
provium: hardening-no-pie [usr/bin/provium]
provium: hardening-no-relro [usr/bin/provium]
EOF
size=$(du -k -s --exclude=DEBIAN "$stage" | cut -f1)
cat >"$stage/DEBIAN/control" <<EOF
Package: provium
Version: $version
Architecture: $architecture
Maintainer: Provium maintainers <maintainers@provium.invalid>
Installed-Size: $size
Depends: libc6 (>= 2.17)
Recommends: qemu-system-x86, iproute2, nftables
Suggests: qemu-utils, qemu-system-arm, virtiofsd
Section: devel
Priority: optional
Description: test harness for software that needs a real operating system
 Tests are Lua files. Provium boots QEMU virtual machines for them, drives their
 kernels and programs through a small agent, and reports like any other test
 runner: commands, files, raw system calls, workers, consoles and clocks of a
 guest are plain function calls.
 .
 It works with or without KVM, vsock, kernel modules and root.
EOF
(cd "$stage" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$stage" "$out/provium_${version}_$architecture.deb" >/dev/null
echo "$out/provium_${version}_$architecture.deb"
