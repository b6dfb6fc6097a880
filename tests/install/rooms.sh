#!/bin/bash
# rooms.sh: what a stranger meets. Puts the executable through install.sh into roots that hold almost nothing, each in
# mount, PID and network namespaces of its own, and runs it there: as root, as a user, without user namespaces, with and
# without devices and tools. Needs root, debootstrap, a Debian mirror, and `make build` before. `make test-install`.
#
# Prints one line for each cell; ends with 1 when one failed.
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")/../.." && pwd)
[ "$(id -u)" = 0 ] || { echo "rooms.sh: making root directories needs root" >&2; exit 2; }
for tool in debootstrap unshare chroot; do
  command -v "$tool" >/dev/null || { echo "rooms.sh: $tool is missing (apt-get install debootstrap util-linux)" >&2; exit 2; }
done
version=$(sed -n 's/^ *"version": "\(.*\)",*/\1/p' "$here/package.json")
machine=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')

work=$(mktemp -d)
# Mounts live in the namespaces of the cells and end with them: nothing below `work` is ever a mount of ours.
trap 'rm -rf --one-file-system "$work"' EXIT

# --- a release to install from -----------------------------------------------------------------------------------
mkdir "$work/release"
cp "$here/dist/provium" "$work/release/provium-$version-linux-$machine"
cp "$here/install.sh" "$work/release"
(cd "$work/release" && sha256sum provium-* >SHA256SUMS)

cat >"$work/local.test.lua" <<'LUA'
test("a command of this very system", function(t)
  local vm = provium:vm("here", "default"):boot()
  t:assert_eq(vm:run("echo hello").stdout, "hello\n")
end)
LUA
cat >"$work/boots.test.lua" <<'LUA'
test("a machine boots and answers", function(t)
  t:assert(provium:vm("a", "default"):boot():run("uname"):ok())
end)
LUA
cat >"$work/bridge.test.lua" <<'LUA'
test("two machines on a bridge", function(t)
  local a, b = provium:vm("a", "default"), provium:vm("b", "default")
  provium:bridge("lan"):attach({ a, b })
  a:boot() b:boot()
  a:run("ping -c 1 -W 5 b.lan"):assert_ok()
end)
LUA

# --- roots ---------------------------------------------------------------------------------------------------------
dress() { # ROOT: what every root gets
  mkdir -p "$1/proc" "$1/tmp" "$1/media/usb" "$1/work" "$1/home/user" "$1/root"
  chmod 1777 "$1/tmp"
  cp -R "$work/release/." "$1/media/usb"
  cp "$work"/*.lua "$1/work"
  chown -R 1000:1000 "$1/home/user"
}

bare=$work/bare
mkdir -p "$bare/bin" "$bare/lib64" "$bare/dev" "$bare/etc"
dpkg-deb --fsys-tarfile "$(printf '%s\n' "$here"/build/guest/packages/busybox-static_*.deb | tail -n 1)" | tar -xO --wildcards './*bin/busybox' >"$bare/bin/busybox"
chmod 755 "$bare/bin/busybox"
for applet in $("$bare/bin/busybox" --list); do ln -s busybox "$bare/bin/$applet" 2>/dev/null || true; done
ldd "$here/dist/provium" | grep -o '/[^ ]*' | while read -r library; do
  mkdir -p "$bare$(dirname "$library")"
  cp -L "$library" "$bare$library"
done
for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "$bare/dev/${node%:*}" c 1 "${node#*:}"; done
mknod -m 666 "$bare/dev/tty" c 5 0
echo 'root:x:0:0::/root:/bin/sh' >"$bare/etc/passwd"
dress "$bare"

debian=$work/debian
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
# shellcheck disable=SC2016 # apt-get's own placeholder
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1)
debootstrap --variant=minbase "$suite" "$debian" ${mirror:+"$mirror"} >"$work/debootstrap.log" 2>&1 ||
  { tail -n 5 "$work/debootstrap.log" >&2; exit 2; }
rm -rf "$debian/etc/apt"
cp -R /etc/apt "$debian/etc/apt"
mkdir -p "$debian/etc/ssl" "$debian/usr/share/ca-certificates"
cp -RL /etc/ssl/certs "$debian/etc/ssl/" 2>/dev/null || true
cp -L /etc/resolv.conf /etc/hosts "$debian/etc/" 2>/dev/null || true
install_packages() {
  unshare --mount --pid --fork --mount-proc="$debian/proc" chroot "$debian" sh -c \
    "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends $*" >"$work/apt.log" 2>&1 ||
    { tail -n 5 "$work/apt.log" >&2; exit 2; }
}
install_packages qemu-system-x86
useradd -R "$debian" -u 1000 -M user 2>/dev/null || echo 'user:x:1000:1000::/home/user:/bin/sh' >>"$debian/etc/passwd"
dress "$debian"

# --- cells ---------------------------------------------------------------------------------------------------------
failed=0
# cell TITLE ROOT WHO STATUS PATTERN SCRIPT: runs SCRIPT in ROOT; its status and, as a grep -E pattern, its output are as said.
# WHO: root; user (uid 1000); confined (uid 1000 where no user namespace can be made)
cell() {
  local title=$1 root=$2 who=$3 status=$4 pattern=$5 script=$6 log=$work/log code=0 begin
  begin=$(date +%s)
  local user=1000:1000 home=/home/user confine=()
  case $who in
    root) user=0:0 home=/root ;;
    # The maps are written from outside: unshare's own --map-users needs one program more.
    confined)
      # shellcheck disable=SC2016 # the shells inside expand it
      confine=(sh -c 'unshare --user --keep-caps sh -c "until grep -q . /proc/self/gid_map; do :; done
          echo 0 >/proc/sys/user/max_user_namespaces && exec \"\$@\"" sh "$@" &
        until echo 0 0 65536 >"$0/$!/uid_map"; do :; done 2>/dev/null
        echo 0 0 65536 >"$0/$!/gid_map"
        wait $!' "$root/proc") ;;
  esac
  unshare --mount --pid --net --fork --kill-child --mount-proc="$root/proc" \
    "${confine[@]}" chroot --userspec="$user" "$root" \
    /bin/sh -c "export HOME=$home PATH=$home/.local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb; cd /work; $script" \
    >"$log" 2>&1 </dev/null || code=$?
  if [ "$code" = "$status" ] && grep -qE -- "$pattern" "$log" && [ -z "$(ls -A "$root/tmp")" ]; then
    printf 'PASS %3d s  %s\n' $(($(date +%s) - begin)) "$title"
  else
    failed=1
    printf 'FAIL %3d s  %s (status %s, asked %s; pattern %s; left in /tmp: %s)\n' $(($(date +%s) - begin)) "$title" "$code" "$status" "$pattern" \
      "$(find "$root/tmp" -mindepth 1 -printf '%P ')"
    sed 's/^/    /' "$log" | tail -n 40
    find "$root/tmp" -mindepth 1 -delete
  fi
}

install='sh /media/usb/install.sh'
for who in root user; do
  cell "busybox and a libc, $who: installs from a stick" "$bare" $who 0 "$version" "$install && provium --version"
  cell "busybox and a libc, $who: nothing around it, six lines of what to do" "$bare" $who 0 'provium' 'cd /tmp && provium'
  cell "busybox and a libc, $who: doctor names the package of QEMU" "$bare" $who 1 'qemu-system-x86' 'provium doctor'
  cell "busybox and a libc, $who: tests run without a machine" "$bare" $who 0 '1 passed' 'provium local.test.lua --vmm local'
  cell "busybox and a libc, $who: a boot says which package is missing" "$bare" $who 1 'qemu-system-x86' 'provium boots.test.lua'
  cell "busybox and a libc, $who: uninstalls" "$bare" $who 0 'removed' "$install --uninstall; ! command -v provium"
done

for who in root user confined; do
  cell "Debian and QEMU, $who: installs, and the demo passes" "$debian" $who 0 ' 0 failed' "$install && provium demo"
done

missing='ip, nft, tc, tcpdump'
cell "Debian without $missing: two machines on a bridge" "$debian" root 0 '1 passed' 'provium bridge.test.lua'
install_packages iproute2 nftables tcpdump
cell "Debian with $missing: two machines on a bridge" "$debian" root 0 '1 passed' 'provium bridge.test.lua'
for tool in ip nft tc tcpdump; do
  path=$(chroot "$debian" sh -c "PATH=/usr/sbin:/usr/bin:/sbin:/bin; command -v $tool")
  mv "$debian$path" "$debian$path.away"
  cell "Debian without $tool: two machines on a bridge" "$debian" root 0 '1 passed' 'provium bridge.test.lua'
  mv "$debian$path.away" "$debian$path"
done
for device in kvm:10:232 vhost-vsock:10:241; do
  IFS=: read -r name major minor <<<"$device"
  [ -e "/dev/$name" ] || { echo "SKIP        no /dev/$name on this host to leave out or hand in"; continue; }
  mknod -m 666 "$debian/dev/$name" c "$major" "$minor"
  cell "Debian with /dev/$name of this host: a machine boots" "$debian" root 0 '1 passed' 'provium boots.test.lua'
  cell "Debian with /dev/$name of this host, user: a machine boots" "$debian" user 0 '1 passed' 'provium boots.test.lua'
  rm "$debian/dev/$name"
done
cell "a temp directory where nothing may be run" "$debian" root 2 'noexec|PROVIUM_TMPDIR' \
  'mount -t tmpfs -o noexec none /tmp && XDG_CACHE_HOME=/tmp/cache PROVIUM_TMPDIR=/tmp provium boots.test.lua'
exit $failed
