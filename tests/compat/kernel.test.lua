-- What a kernel of somebody else's has to be able to do for a test. The profile `kernel` boots it with the userland of the
-- default guest; RELEASE is its name.
provium.timeout = "15m"
local release = os.getenv("RELEASE")
local vm = provium:vm("k", "kernel", { memory = "512M", disks = { { id = "data", size = "32M" } } }):boot { boot_timeout = "5m" }

test("it is the kernel that was asked for, and runs commands, files and system calls", function(t)
  t:assert_eq(vm:run("uname -r").stdout:trim(), release)
  vm:write_file("/tmp/f", ("0123456789abcdef"):rep(1 << 16))
  t:assert_eq(#vm:read_file("/tmp/f"), 1 << 20)
  t:assert(vm:syscall("getppid").ret >= 0)
  t:assert(vm:spawn_worker():syscall("getpid").ret > 0)
  t:assert(vm:spawn_worker({ thread = true }):syscall("gettid").ret > 0)
end)

test("disks are there at the boot, come and go", function(t)
  vm:run("mkfs.ext2 -q /dev/vda"):assert_ok()
  local more = vm:attach_disk { id = "more", size = "8M" }
  vm:run("dd if=/dev/zero of=" .. more:guest_path() .. " bs=4k count=1 oflag=direct"):assert_ok()
  more:detach()
  t:assert_eq(#vm:disks(), 1)
end)

test("interfaces come and carry frames", function(t)
  local other = provium:vm("o", "kernel", { memory = "512M" }):boot { boot_timeout = "5m" }
  local lan = provium:bridge("lan")
  lan:attach({ vm, other })
  t:assert(wait_until(function() return vm:run("ping -c 1 -W 2 o.lan"):ok() end, { timeout = "60s", desc = "a ping" }))
  other:kill()
  lan:detach(vm)
end)

test("a snapshot goes on where it was taken, and a reset boots anew", function(t)
  vm:write_file("/tmp/kept", "before")
  local snap = vm:snapshot()
  vm:write_file("/tmp/kept", "after")
  vm:kill()
  vm:restore(snap)
  t:assert_eq(vm:read_file("/tmp/kept"), "before")
  vm:reset()
  t:assert(not vm:run("test -e /tmp/kept"):ok())
end)

test("a panic is told as one", function(t)
  local err = t:assert_raises(function() vm:run("echo c > /proc/sysrq-trigger; sleep 1000") end)
  t:assert_contains(err, "sysrq")
end)

test("the power goes off", function(t)
  vm:boot { boot_timeout = "5m" }
  vm:shutdown()
  t:assert_eq(vm:state(), "shutdown")
end)
