-- provium.reset_between_tests with disks and network interfaces: what the tests do to them is undone.

local lan = provium:bridge("lan", { subnet = "10.6.6.0/24" })
local a = provium:vm("a", "default", { memory = "128M", disks = { { id = "data", size = "8M" } } })
local b = provium:vm("b", "default", { memory = "128M" })
lan:attach({ a, b })
provium:boot()
a:run("mkfs.ext2 -q /dev/vda && mkdir -p /mnt/d && mount /dev/vda /mnt/d"):assert_ok()
a:write_file("/mnt/d/kept", "before")
local mac, ip = lan:nic(a):mac(), lan:ip(a)
local server = b:run_async("while :; do nc -l -p 7000; done")
b:wait_until(function() return b:run("netstat -ltn | grep -q :7000"):ok() end, { timeout = "30s" })
provium.reset_between_tests = true

local damages = {
  { "writes to the disk", function() a:run("rm /mnt/d/kept; head -c 2000000 /dev/urandom > /mnt/d/junk; sync"):assert_ok() end },
  { "makes the disk fail", function() a:disk("data"):fault_inject("eio_read") end },
  { "plugs another disk in", function() a:attach_disk { id = "more", size = "8M" } end },
  { "takes the disk out", function() a:run("umount -l /mnt/d"); a:disk("data"):detach() end },
  { "takes a VM off the bridge", function() lan:detach(b) end },
  { "pulls the cable", function() lan:nic(b):disconnect() end },
  { "removes the address", function() a:run("ip addr flush dev eth0"):assert_ok() end },
  { "partitions the bridge", function() lan:partition(a, b) end },
  { "kills the VM with the disk", function() a:kill() end },
  { "pauses a VM", function() b:pause() end },
  { "ends well", function() end },
}

for _, damage in ipairs(damages) do
  test("a test that " .. damage[1] .. " harms no later one", { timeout = "5m" }, function(t)
    t:assert_eq(a:read_file("/mnt/d/kept"), "before")
    a:run("sync; echo 3 > /proc/sys/vm/drop_caches"):assert_ok()
    t:assert_eq(a:read_file("/mnt/d/kept"), "before")
    t:assert(not a:run("test -e /mnt/d/junk || test -e /dev/vdb"):ok())
    t:assert_eq(lan:nic(a):mac(), mac)
    t:assert_eq(lan:ip(a), ip)
    t:assert(wait_until(function() return a:run("echo hello | nc -w 5 b.lan 7000"):ok() end, { timeout = "60s" }))
    t:assert_eq(server:status().running, true)
    damage[2]()
  end)
end
