#!/bin/bash
# build.sh OUT: an ext4 image with the executable, this host's QEMU and the libraries of both, which a guest mounts on
# /inner and boots a guest of its own from. A disk, because an initramfs with all that takes minutes to unpack under
# emulation. QEMU finds its files relative to where it lies.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
out=${1:?usage: build.sh OUT}
qemu=$(command -v qemu-system-x86_64) || { echo 'make test-nested needs qemu-system-x86_64' >&2; exit 1; }
qemu=$(readlink -f "$qemu")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir "$root/lib"
cp dist/provium "$root/provium"

# with FILE: it and what the dynamic linker would load for it, the libraries all in one directory.
with() {
  cp -L --parents "$1" "$root"
  libraries "$1"
}
libraries() {
  ldd "$1" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p; s/^\s*\(\/[^ ]*ld-[^ ]*\) .*/\1/p' | xargs -I{} cp -L {} "$root/lib"
}

libraries dist/provium
with "$qemu"
# Debian builds QEMU's accelerators as modules of their own.
for module in /usr/lib/*/qemu/accel-tcg-x86_64.so /usr/lib64/qemu/accel-tcg-x86_64.so /usr/lib/qemu/accel-tcg-x86_64.so; do
  [ ! -e "$module" ] || with "$module"
done
"$qemu" -L help | while read -r firmware; do
  # Only what a PC without a display needs: the BIOS, and what it starts a kernel with.
  for file in bios-256k.bin pvh.bin linuxboot.bin linuxboot_dma.bin kvmvapic.bin; do
    [ ! -e "$firmware/$file" ] || cp -L --parents "$firmware/$file" "$root"
  done
done

size=$(du -sm "$root" | cut -f 1)
rm -f "$out.new"
truncate -s $((size + size / 8 + 16))M "$out.new"
mke2fs -q -t ext4 -m 0 -d "$root" "$out.new"
mv "$out.new" "$out"
