#!/bin/sh
# Installs provium: picks the file for this machine, verifies its checksum, puts it in place. Needs no root.
#
#   sh install.sh [--version VERSION] [--prefix DIR] [--no-guest] [--uninstall] [--help]
#
#   PROVIUM_MIRROR   where the release lies: https://…, file:///media/usb, or a plain directory. Without it: the
#                    directory of this script when SHA256SUMS lies beside it.
#   PREFIX           like --prefix; the file becomes PREFIX/bin/provium. Without it: ~/.local/bin/provium.
#
# Nothing that was fetched is executed before its SHA-256 has been found in SHA256SUMS.
set -eu

say() { printf '%s\n' "provium: $*"; }
die() {
  printf '%s\n' "provium: $*" >&2
  exit 1
}
usage() { sed -n '2,/^set -eu/{s/^# \{0,1\}//;/^set -eu/!p;}' "$0"; }

version=
prefix=${PREFIX:-}
guest=yes
action=install
while [ $# -gt 0 ]; do
  case $1 in
  --version | --prefix)
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in --version) version=${2#v} ;; *) prefix=$2 ;; esac
    shift
    ;;
  --version=*) version=${1#--version=} version=${version#v} ;;
  --prefix=*) prefix=${1#--prefix=} ;;
  --no-guest) guest=no ;;
  --uninstall) action=uninstall ;;
  -h | --help)
    usage
    exit 0
    ;;
  *) die "unknown argument $1 (try --help)" ;;
  esac
  shift
done

if [ -n "$prefix" ]; then
  bin=$prefix/bin
else
  [ -n "${HOME:-}" ] || die "HOME is not set: say --prefix DIR"
  bin=$HOME/.local/bin
fi

if [ "$action" = uninstall ]; then
  [ -e "$bin/provium" ] || die "$bin/provium is not there"
  rm -f "$bin/provium" || die "$bin/provium cannot be removed"
  say "removed $bin/provium (its cache, if any, is ${XDG_CACHE_HOME:-${HOME:-~}/.cache}/provium)"
  exit 0
fi

# --- which file ---------------------------------------------------------------------------------------------

[ "$(uname -s)" = Linux ] || die "provium runs on Linux, and this is $(uname -s)"
case $(uname -m) in
x86_64 | amd64) machine=x64 ;;
aarch64 | arm64) machine=arm64 ;;
*) die "there is no provium for $(uname -m) (there is for: x86_64, aarch64)" ;;
esac
# A musl system has musl's loader and no glibc loader.
for loader in /lib/ld-musl-*.so.1; do
  [ -e "$loader" ] || continue
  [ -e /lib64/ld-linux-x86-64.so.2 ] || [ -e /lib/ld-linux-aarch64.so.1 ] || machine=$machine-musl
done

# --- where from ---------------------------------------------------------------------------------------------

mirror=${PROVIUM_MIRROR:-}
if [ -z "$mirror" ]; then
  case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
  [ -e "$here/SHA256SUMS" ] || die "say where the release lies: PROVIUM_MIRROR=https://… or file:///… or a directory"
  mirror=$here
fi
mirror=${mirror%/}

work=$(mktemp -d "${TMPDIR:-/tmp}/provium-install.XXXXXX") || die "no directory for temporary files"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

# fetch NAME FILE
fetch() {
  case $mirror in
  http://* | https://*)
    if command -v curl >/dev/null 2>&1; then
      curl -fsSL -o "$2" "$mirror/$1" || die "$mirror/$1 cannot be fetched"
    elif command -v wget >/dev/null 2>&1; then
      wget -q -O "$2" "$mirror/$1" || die "$mirror/$1 cannot be fetched"
    else
      die "neither curl nor wget is here: download the release and set PROVIUM_MIRROR to its directory"
    fi
    ;;
  file://*) cp "${mirror#file://}/$1" "$2" 2>/dev/null || die "${mirror#file://}/$1 cannot be read" ;;
  *://*) die "PROVIUM_MIRROR=$mirror: only https, http, file and plain directories are understood" ;;
  *) cp "$mirror/$1" "$2" 2>/dev/null || die "$mirror/$1 cannot be read" ;;
  esac
}

fetch SHA256SUMS "$work/SHA256SUMS"
# Names are provium-VERSION-linux-MACHINE[-noguest].
names=$(sed -n "s/^[0-9a-f]\{64\}  \(provium-[0-9][0-9A-Za-z.+~]*-linux-$machine\(-noguest\)\{0,1\}\)\$/\1/p" "$work/SHA256SUMS")
if [ -n "$version" ]; then
  all=$names
  names=$(printf '%s\n' "$all" | grep -F -- "provium-$version-linux-" || true)
  [ -n "$names" ] || die "the mirror has no version $version for $machine (it has: $(echo "$all" | tr "\n" " "))"
fi
name=
for one in $names; do
  case $one in
  *-noguest) [ "$guest" = no ] || [ -z "$name" ] || continue ;;
  *) [ "$guest" = yes ] || continue ;;
  esac
  name=$one
done
[ -n "$name" ] || die "the mirror has nothing for $machine"
expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  $name\$/\1/p" "$work/SHA256SUMS")

fetch "$name" "$work/provium"
if command -v sha256sum >/dev/null 2>&1; then
  found=$(sha256sum "$work/provium")
elif command -v openssl >/dev/null 2>&1; then
  found=$(openssl dgst -sha256 -r "$work/provium")
else
  die "neither sha256sum nor openssl is here, so $name cannot be verified"
fi
[ "${found%% *}" = "$expected" ] ||
  die "$name is damaged or not the original: its SHA-256 is ${found%% *}, SHA256SUMS says $expected"

# --- in place -----------------------------------------------------------------------------------------------

mkdir -p "$bin" || die "$bin cannot be made"
# Beside its place first, so that it appears whole.
{ cp "$work/provium" "$bin/.provium.$$" && chmod 0755 "$bin/.provium.$$" && mv -f "$bin/.provium.$$" "$bin/provium"; } || {
  rm -f "$bin/.provium.$$"
  die "$bin/provium cannot be written"
}
"$bin/provium" --version >"$work/version" 2>"$work/said" || {
  sed 's/^/  /' "$work/said" >&2
  rm -f "$bin/provium"
  case $machine in
  *-musl) die "it does not start here (Alpine: apk add libstdc++) and was removed again" ;;
  *) die "it does not start here (it needs glibc 2.17 or newer) and was removed again" ;;
  esac
}
say "$(cat "$work/version") is at $bin/provium"
case $name in
*-noguest) say "it carries no guest: declare a profile with a kernel in provium.toml" ;;
esac
case :$PATH: in
*:"$bin":*) say "next: provium doctor, then provium demo" ;;
*) say "next: put $bin into your PATH, then provium doctor and provium demo" ;;
esac
