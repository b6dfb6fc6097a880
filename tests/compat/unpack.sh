#!/bin/sh
# unpack.sh SUITE DIRECTORY PACKAGE...: packages of a Debian suite with all that they depend on, unpacked below
# DIRECTORY/root. Installs nothing and needs no root: apt works on lists, a cache and an empty status of its own.
# A suite NAME-backports is taken in preference to NAME, which it builds on. MIRROR names
# another mirror than the one that apt has on this machine.
set -eu
suite=${1:?usage: unpack.sh SUITE DIRECTORY PACKAGE...}
mkdir -p "${2:?usage: unpack.sh SUITE DIRECTORY PACKAGE...}"
directory=$(cd "$2" && pwd)
shift 2
# shellcheck disable=SC2016 # apt-get's own placeholder
mirror=${MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1)}
[ -n "$mirror" ] || { echo "unpack.sh: apt has no mirror here; name one in MIRROR" >&2; exit 1; }
state=$directory/apt

mkdir -p "$state/lists/partial" "$state/archives/partial" "$state/etc"
: >"$state/status"
for name in "${suite%-backports}" "$suite"; do
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $name main"
done | sort -u >"$state/etc/sources.list"
apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq \
    -o Dir::Etc="$state/etc" -o Dir::Etc::SourceList="$state/etc/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State="$state" -o Dir::State::Lists="$state/lists" -o Dir::State::Status="$state/status" \
    -o Dir::Cache="$state" -o Dir::Cache::Archives="$state/archives" \
    -o APT::Sandbox::User=root -o APT::Architecture=amd64 -o APT::Architectures=amd64 \
    -o APT::Default-Release="$suite" -o Debug::NoLocking=1 -o Binary::apt-get::APT::Keep-Downloaded-Packages=true "$@"
}
apt update
apt install --no-install-recommends --download-only --yes "$@"
rm -rf "$directory/root.new"
for file in "$state/archives"/*.deb; do
  dpkg-deb -x "$file" "$directory/root.new"
done
rm -rf "$state/archives" "$state/lists" "$directory/root"
mv "$directory/root.new" "$directory/root"
