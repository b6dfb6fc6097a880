#!/bin/bash
# build.sh OUTDIR [amd64|arm64]: makes the default guest of an architecture (this machine's own) from Debian packages,
# without root and without installing anything.
#
#   OUTDIR/vmlinux.zst     kernel, the uncompressed image inside the package's vmlinuz (arm64: the Image)
#   OUTDIR/initrd.cpio.zst busybox, /init and modules, most of them xz-compressed
#   OUTDIR/modules.cpio.zst  modules that the host ships itself, as they are, with modules.dep
#   OUTDIR/manifest        kernel release, packages with versions, sizes and hashes (written last)
#
# Equal packages give equal bytes. KERNEL_DEB and BUSYBOX_DEB name package files to be used instead of a download, and
# for another architecture than the machine's APPLETS_DEB names the machine's own busybox, which is executed.
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
umask 022

here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh OUTDIR [amd64|arm64]}
arch=${2:-$(dpkg --print-architecture 2>/dev/null || echo amd64)}
mkdir -p "$out/packages"
out=$(cd "$out" && pwd)
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

die() {
  echo "provium: $1" >&2
  echo "provium: ${2:-Without the default guest: make GUEST=none}" >&2
  exit 1
}

# --- packages -----------------------------------------------------------------------------------------------

# Another architecture than the machine's: its package lists are kept apart from the machine's own.
apt=()
kernel=${KERNEL_DEB:-}
busybox=${BUSYBOX_DEB:-}
foreign=no
if command -v dpkg >/dev/null && [ "$(dpkg --print-architecture)" != "$arch" ]; then
  foreign=yes
  if [ -z "$kernel" ] || [ -z "$busybox" ]; then
    . "$here/../cross/apt.sh"
    foreign_apt "$arch" "$out/apt"
  fi
fi

# fetch PACKAGE: prints the path of its .deb, downloaded unless this very version is there already.
fetch() {
  local version file
  version=$(apt-cache "${apt[@]}" policy "$1" | sed -n 's/^ *Candidate: //p')
  [ -n "$version" ] && [ "$version" != "(none)" ] ||
    die "apt knows no package $1" "Run \`apt-get update\` as root first, or name the file in KERNEL_DEB and BUSYBOX_DEB."
  file=$out/packages/${1}_${version//:/%3a}_$arch.deb
  if [ ! -e "$file" ]; then
    (cd "$work" && apt-get "${apt[@]}" download -q "$1=$version" >"$work/apt.log" 2>&1) ||
      die "cannot download $1 $version: $(tail -n 3 "$work/apt.log")"
    mv "$work/${file##*/}" "$file"
  fi
  echo "$file"
}

if [ -z "$kernel" ]; then
  command -v apt-get >/dev/null || die "the default guest is made from Debian packages, and apt-get is missing here"
  # The meta package depends on the kernel package of the day.
  name=$(apt-cache "${apt[@]}" depends --no-recommends --no-suggests "linux-image-cloud-$arch" |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [ -n "$name" ] || die "apt knows no linux-image-cloud-$arch" "Run \`apt-get update\` as root first."
  kernel=$(fetch "$name")
fi
[ -n "$busybox" ] || busybox=$(fetch busybox-static)

# unpack PACKAGE-FILE ROOT: since Debian 13 everything in a package lies below usr.
unpack() {
  dpkg-deb -x "$1" "$2"
  local each
  for each in bin lib; do
    [ -e "$2/$each" ] || [ ! -e "$2/usr/$each" ] || mv "$2/usr/$each" "$2/$each"
  done
}

# The applets of a busybox that this machine cannot run are those of its own: both come from one source package.
lister=$work/busybox/bin/busybox
if [ $foreign = yes ]; then
  lister=$work/lister/bin/busybox
  mkdir "$work/lister"
  applets=${APPLETS_DEB:-}
  if [ -z "$applets" ]; then
    (cd "$work/lister" && apt-get download -q busybox-static >apt.log 2>&1) ||
      die "cannot download this machine's own busybox-static"
    applets=$(echo "$work"/lister/busybox-static_*.deb)
  fi
  unpack "$applets" "$work/lister"
fi

# described PACKAGE-FILE: the package, its source package, and what else it was built from.
described() {
  local used
  dpkg-deb --show --showformat='package ${Package} ${Version} source ${source:Package} ${source:Version}' "$1"
  used=$(dpkg-deb --field "$1" Built-Using)
  echo "${used:+ built-using $used}"
}

unpack "$kernel" "$work/kernel"
unpack "$busybox" "$work/busybox"
release=$(cd "$work/kernel/lib/modules" && echo *)
tree=$work/kernel/lib/modules/$release
[ -d "$tree/kernel" ] || die "$kernel holds no kernel modules"

# --- kernel -------------------------------------------------------------------------------------------------

# The slowest step by far, and the same package gives the same kernel: the one that is there is taken over.
line=$(grep -s '^file vmlinux\.zst ' "$out/manifest" || true)
if grep -qsxF "$(described "$kernel")" "$out/manifest" && [ -e "$out/vmlinux.zst" ] &&
  [ "${line##* }" = "$(sha256sum "$out/vmlinux.zst" | cut -d ' ' -f 1)" ]; then
  cp "$out/vmlinux.zst" "$work/vmlinux.zst"
else
  bun "$here/vmlinux.ts" "$work/kernel/boot/vmlinuz-$release" "$work/vmlinux.zst" "$arch"
fi

# --- modules ------------------------------------------------------------------------------------------------

# Since Debian 13 the modules of a package are compressed.
find "$tree" -name '*.ko.xz' -print0 | xargs -0r xz -d
depmod -b "$work/kernel" "$release"

# wanted SECTION: module names of that section of modules.list.
wanted() {
  sed -n "/^\[$1\]/,/^\[/{/^[^[#]/p}" "$here/modules.list" | while read -r name only; do
    [ "${only:-$arch}" = "$arch" ] || continue
    case $name in
    *\**) find "$tree/kernel" -name "$name.ko" -printf '%f\n' | sed 's/\.ko$//' | sort ;;
    *) echo "$name" ;;
    esac
  done
}

# copy_modules ROOT NAME...: copies modules and what they depend on, paths kept.
copy_modules() {
  local root=$1 name
  shift
  for name; do
    modprobe -d "$work/kernel" -S "$release" --show-depends "${name%\?}" 2>/dev/null |
      sed -n 's/^insmod \([^ ]*\).*/\1/p' || [ "${name%\?}" != "$name" ] || die "this kernel has no module $name"
  done | sort -u | while read -r file; do
    install -D -m 0644 "$file" "$root/lib/modules/$release/${file#"$tree/"}"
  done
  cp "$tree"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$release/"
}

# index_modules ROOT: modules.dep and its relations, in an order that does not depend on the disk.
index_modules() {
  local file
  depmod -b "$1" "$release"
  rm -f "$1/lib/modules/$release"/modules.*.bin "$1/lib/modules/$release"/modules.{order,builtin.modinfo,devname}
  for file in modules.dep modules.alias modules.symbols; do
    sort -o "$1/lib/modules/$release/$file" "$1/lib/modules/$release/$file"
  done
}

mapfile -t shim < <(wanted shim)
mapfile -t plain < <(wanted plain)
mapfile -t packed < <(wanted packed)
mkdir -p "$work/shim" "$work/root" "$work/plain"
copy_modules "$work/shim" "${shim[@]}"
index_modules "$work/shim"
rm "$work/shim/lib/modules/$release"/modules.{alias,symbols,softdep}
copy_modules "$work/plain" "${plain[@]}"
copy_modules "$work/root" "${shim[@]}" "${plain[@]}" "${packed[@]}"
index_modules "$work/root"
# Compressed under their plain names. busybox's modprobe unpacks such a file in memory, at the price of a complaint
# in the kernel's log; root/usr/sbin/modprobe, which serves the kernel's own requests, unpacks it first.
(cd "$work/root" && find lib/modules -name '*.ko') | while read -r file; do
  if [ ! -e "$work/plain/$file" ]; then
    xz -9e -T1 --check=crc32 <"$work/root/$file" >"$work/packed" && mv "$work/packed" "$work/root/$file"
  fi
done

# --- user land ----------------------------------------------------------------------------------------------

cp -R "$here/root/." "$work/root/"
(
  cd "$work/root"
  mkdir -p bin dev etc lib mnt proc root run sbin sys tmp usr/bin usr/sbin var/log
  chmod 1777 tmp
  install -m 0755 "$work/busybox/bin/busybox" bin/busybox
  "$lister" --list | grep -v -x busybox | while read -r applet; do
    [ -e "bin/$applet" ] || [ -e "sbin/$applet" ] || [ -e "usr/sbin/$applet" ] || ln -s busybox "bin/$applet"
  done
  for applet in init insmod rmmod lsmod depmod poweroff reboot halt acpid getty mke2fs ip ifconfig route mdev \
    udhcpc losetup switch_root sysctl; do
    [ -L "bin/$applet" ] && ln -s ../bin/busybox "sbin/$applet"
  done
  ln -s ../../bin/env usr/bin/env
  ln -s ../proc/mounts etc/mtab
  chmod 0755 init etc/rc etc/acpi/power etc/udhcpc/default.script sbin/mkfs.ext2 sbin/mkfs.ext4 \
    usr/sbin/modprobe
)

# pack ROOT OUT: a newc archive with owner root, time 0, sorted names and numbered inodes.
pack() {
  find "$1" -exec touch -h -d @0 {} +
  (cd "$1" && find . -mindepth 1 | sort | cpio --quiet --reproducible -o -H newc -R 0:0) | zstd -q -19 -T1 >"$2"
}
pack "$work/root" "$work/initrd.cpio.zst"
pack "$work/shim" "$work/modules.cpio.zst"

# --- manifest -----------------------------------------------------------------------------------------------

for file in vmlinux.zst initrd.cpio.zst modules.cpio.zst; do
  mv "$work/$file" "$out/$file"
done
{
  echo "release $release"
  described "$kernel"
  described "$busybox"
  (cd "$out" && sha256sum vmlinux.zst initrd.cpio.zst modules.cpio.zst | while read -r hash file; do
    echo "file $file $(stat -c %s "$file") $hash"
  done)
} >"$work/manifest"
mv "$work/manifest" "$out/manifest"
