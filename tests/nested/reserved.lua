-- Run in the guest: a machine with a context ID of /dev/vhost-vsock. Somebody else on that host holds the ID 10.
provium.timeout = "15m"
local vm = provium:vm("v", "default"):boot { boot_timeout = "15m" }

test("an ID that a foreign process holds is passed over", function(t)
  t:assert_eq(vm:cid(), 11)
  t:assert_eq(vm:run("echo here").stdout, "here\n")
end)
