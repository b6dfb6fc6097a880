-- The vsock channel where it can be had on every host: inside a guest. The executable itself runs there on the
-- local VMM and talks to its agent through AF_VSOCK, over the guest kernel's loopback (CID 1).
provium.timeout = "5m"

local h = provium:vm("h", "minimal"):boot { memory = "1G" }

-- The executable needs the C library of this host.
local machine = h:exec("uname -m").stdout:trim()
local loader = ({ x86_64 = "/lib64/ld-linux-x86-64.so.2", aarch64 = "/lib/ld-linux-aarch64.so.1" })[machine]
h:mkdir("/lib64", { parents = true })
h:mkdir("/inner/lib", { parents = true })
h:push_file(loader, loader, { perm = "0755" })
for _, name in ipairs { "libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2" } do
  h:push_file("/lib/" .. machine .. "-linux-gnu/" .. name, "/inner/lib/" .. name)
end
h:push_file("../../../dist/provium", "/inner/provium", { perm = "0755" })

h:push_file("smoke.lua", "/inner/smoke.test.lua")

test("the executable passes its suite over AF_VSOCK", function(t)
  local loaded = h:run("grep -q '^vsock_loopback ' /proc/modules || modprobe vsock_loopback")
  t:assert(loaded:ok(), loaded.stderr)
  local r = h:run(
    "cd /inner && LD_LIBRARY_PATH=/inner/lib HOME=/inner ./provium -v --vmm local --transport vsock smoke.test.lua",
    { timeout = "4m" })
  t:assert_contains(r.stdout, "(vsock)")
  t:assert_contains(r.stdout, "4 passed")
  t:assert_eq(r.exit_code, 0)
end)
