-- A tree of this host as the root of a guest (docs/guests.md). Tagged `pc`: an emulated arm64 machine could execute
-- nothing of this host.

-- A machine on this host's tree, or why there is none: the virtiofsd of QEMU 7.2 runs for root only, and that of later
-- ones is a package of its own.
local function boot()
  local vm = provium:vm("here", "here")
  local booted, why = pcall(vm.boot, vm)
  if booted then return vm end
  local words = tostring(why)
  local unfit = words:match("setgroups%(%) failed[^\n]*") or words:match("its root needs virtiofsd[^\n]*")
  return nil, unfit or error(why, 0)
end

local function check(title, body)
  test(title, { tags = "pc" }, function(t)
    local here, unfit = boot()
    if unfit then t:skip("no virtiofsd that runs for this user: " .. unfit) end
    body(t, here)
  end)
end

local function host(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a")
end

check("the guest runs the host's programs on the host's files", function(t, here)
  t:assert_eq(here:read_file("/etc/os-release"), host("/etc/os-release"))
  t:assert_contains(here:run("bash --version"):assert_ok().stdout, "GNU bash")
end)

check("what the guest writes the host does not see, and neither does the next boot", function(t, here)
  here:write_file("/etc/provium-was-here", "1")
  here:run("rm /etc/os-release"):assert_ok()
  t:assert_eq(here:read_file("/etc/provium-was-here"), "1")
  t:assert_eq(nil, host("/etc/provium-was-here"))
  here:shutdown()
  here:boot()
  t:assert_eq(here:run("test -e /etc/provium-was-here").exit_code, 1)
  t:assert_eq(here:read_file("/etc/os-release"), host("/etc/os-release"))
end)

check("a guest that mounts the tree anew, to be written, cannot write it", function(t, here)
  here:run("mkdir /tmp/again && mount -t virtiofs provium-root /tmp/again"):assert_ok()
  local got = here:run("echo 1 >/tmp/again/tmp/provium-was-here")
  t:assert_neq(got.exit_code, 0)
  t:assert_contains(got.stderr, "Read-only file system")
  t:assert_eq(nil, host("/tmp/provium-was-here"))
end)

check("/proc, /sys and /dev are the guest's own, /run and /tmp begin empty, and PID 1 is the wrapper", function(t, here)
  t:assert_eq(here:read_file("/proc/1/comm"), "provium-wrapper\n")
  t:assert_contains(here:read_file("/proc/cmdline"), "provium.tree=virtiofs")
  t:assert_eq(here:run("cat /sys/class/tty/console/active").stdout, "hvc0 ttyS0\n")
  t:assert_eq(here:run("ls -A /run").stdout, "")
end)

check("a directory of the host serves as well, and gets the mount points that it lacks", function(t)
  local tree = provium:vm("tree", "tree"):boot()
  t:assert_contains(tree:read_file("/provium.toml"), "[profile.tree]")
  t:assert_contains(tree:read_file("/proc/mounts"), "overlay / ")
end)

check("a virtiofsd that dies ends the machine, and the error says so", function(t, here)
  local own = host("/proc/self/stat"):match("%d+")
  local server
  for child in host("/proc/self/task/" .. own .. "/children"):gmatch("%d+") do
    if host("/proc/" .. child .. "/comm") == "virtiofsd\n" then server = child end
  end
  local err = t:assert_raises(function()
    assert(os.execute("kill -9 " .. server))
    here:run("sleep 60")
  end)
  t:assert_contains(tostring(err), "virtiofsd, which serves the root, ended with signal 9")
end)

check("a deterministic machine, snapshots and files for the initramfs are refused with the reason", function(t, here)
  t:assert_contains(tostring(t:assert_raises(function() here:snapshot() end)), "is a tree of this host")
  local other = provium:vm("other", "here")
  local function refused(options)
    return tostring(t:assert_raises(function() other:boot(options) end))
  end
  t:assert_contains(refused { deterministic = true }, "has nothing of its host")
  t:assert_contains(refused { deterministic = false, files = { { path = "/etc/x", content = "x" } } }, "takes the place of")
end)
