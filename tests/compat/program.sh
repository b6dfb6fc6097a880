#!/bin/sh
# Runs a program of the root that unpack.sh has made, with the libraries, modules and firmware of that root and none of
# this machine's. DIRECTORY/bin/NAME is a link to here.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)/root
name=$(basename "$0")
export QEMU_MODULE_DIR="$root/usr/lib/x86_64-linux-gnu/qemu"
case $name in qemu-system-*) set -- -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@" ;; esac
libraries=$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu
for loader in "$root/lib/x86_64-linux-gnu" "$root/usr/lib/x86_64-linux-gnu"; do
  [ ! -e "$loader/ld-linux-x86-64.so.2" ] || exec "$loader/ld-linux-x86-64.so.2" --library-path "$libraries" "$root/usr/bin/$name" "$@"
done
echo "$0: $root holds no loader of libraries" >&2
exit 127
