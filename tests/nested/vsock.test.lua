-- The vsock channel as it is on a host with vhost_vsock: a guest that has it is that host, and boots guests of its own
-- (build.sh has put the executable and QEMU on a disk). Emulation within emulation: a boot takes a minute.
provium.timeout = "45m"

-- Two processors for the two machines that start at once: what an emulator in an emulator takes for a tick of one of them
-- is most of the time until its next one, and with one processor both did nothing else.
local h = provium:vm("h", "default", { memory = "3G", cpus = 2 }):boot()
local inner = h:attach_disk { id = "inner", image = "../../build/nested.img", readonly = true }
h:mkdir("/inner")
h:run("mount -o ro " .. inner:guest_path() .. " /inner"):assert_ok()
h:mkdir("/lib64", { parents = true })
h:run("ln -sf /inner/lib/ld-linux-x86-64.so.2 /lib64/"):assert_ok()
h:run("modprobe vhost_vsock"):assert_ok()
h:mkdir("/suite")

local VHOST_VSOCK_SET_GUEST_CID = 0x4008af60

-- What a run of FILE by the guest's own executable says; passed when `passed` tests did.
local function check(t, file, passed)
  h:push_file(file, "/suite/suite.test.lua")
  local r = h:run(
    "cd /suite && PATH=/inner/usr/bin:$PATH LD_LIBRARY_PATH=/inner/lib HOME=/suite"
      .. " /inner/provium -v --transport vsock --timeout 40m suite.test.lua",
    { timeout = "42m" })
  t:log(r.stdout .. r.stderr)
  t:assert_contains(r.stdout, "(vsock)")
  t:assert_contains(r.stdout, passed .. " passed, 0 failed, 0 skipped")
  t:assert_eq(r.exit_code, 0)
end

test("the smoke suite passes over AF_VSOCK between a guest and its own", function(t)
  check(t, "../vm/vsock/smoke.lua", 4)
end)

test("machines at once, snapshots and resets keep to their context IDs, and leave alone what somebody else has", function(t)
  local held = h:open_file("/dev/vhost-vsock", { read = true, write = true })
  local r = h:ioctl(held:fd(), VHOST_VSOCK_SET_GUEST_CID, provium.pack("u64", 10))
  t:assert_eq(r.errno, 0)
  check(t, "machines.lua", 3)
end)
