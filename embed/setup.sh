#!/bin/sh
# Makes sure that this Debian machine has what the build and the tests need.
# As root or with password-less sudo it installs what is missing; otherwise it prints the one command to run.
# With OFFLINE=1 (a distributor's build) it only looks for what compiles, and with GUEST=none not for what packs a guest.
set -eu

# command:package pairs; a command that is there counts, whoever installed it.
needed="
${MUSL_CC:-musl-gcc}:musl-tools
"
[ "${GUEST:-}" = none ] || needed="$needed
cpio:cpio
xz:xz-utils
zstd:zstd
depmod:kmod
dpkg-deb:dpkg
"
if [ "${OFFLINE:-}" = 1 ]; then
  needed="$needed patch:patch"
else
  needed="$needed
gcc:gcc
npm:npm
qemu-system-x86_64:qemu-system-x86
lua5.4:lua5.4
mke2fs:e2fsprogs
qemu-storage-daemon:qemu-system-common
qemu-img:qemu-utils
ip:iproute2
nft:nftables
"
fi

PATH=$PATH:/usr/sbin:/sbin
missing=
for pair in $needed; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
# The sanitizer builds of the agent link against glibc's headers.
[ "${OFFLINE:-}" = 1 ] || [ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
[ -e /usr/include/linux/vm_sockets.h ] || missing="$missing linux-libc-dev"
[ -z "$missing" ] && exit 0

install="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null 2>&1; then
  echo "provium: this machine has no apt-get; please install:$missing" >&2
  exit 1
fi
if [ "$(id -u)" = 0 ]; then
  sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
  sudo=sudo
else
  echo "provium: missing packages. Please run:" >&2
  echo "  sudo sh -c 'apt-get update && $install'" >&2
  exit 1
fi
echo "provium: installing$missing"
$sudo apt-get update -q
# Since Debian 13 it is a package of its own; before, it comes with QEMU.
[ "${OFFLINE:-}" = 1 ] || ! apt-cache show virtiofsd >/dev/null 2>&1 || install="$install virtiofsd"
# shellcheck disable=SC2086 # the package names are words of ours
$sudo env DEBIAN_FRONTEND=noninteractive $install
