#!/bin/sh
# build.sh OUT: a Debian with systemd as a raw ext4 image, by debootstrap. Needs root, debootstrap, e2fsprogs, network.
set -eu
out=${1:?usage: build.sh OUT}
for program in debootstrap mke2fs; do
  command -v "$program" >/dev/null || {
    echo "make test-distribution needs $program: apt-get install --no-install-recommends debootstrap e2fsprogs" >&2
    exit 1
  }
done
[ "$(id -u)" = 0 ] || { echo "make test-distribution needs root for debootstrap" >&2; exit 1; }
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
debootstrap --variant=minbase --include=systemd,systemd-sysv,udev,dbus,kmod,iproute2 stable "$root" >"$out.log"
rm -rf "$root"/var/cache/apt/archives/*.deb
truncate -s 1G "$out.new"
mke2fs -q -t ext4 -d "$root" "$out.new"
mv "$out.new" "$out"
