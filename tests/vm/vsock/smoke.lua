-- What is to work over AF_VSOCK, whoever runs it: in a guest, on the local VMM (loopback.test.lua) or in a guest's own
-- machines (tests/nested).
provium.timeout = "15m"
local vm = provium:vm("v", "default"):boot { boot_timeout = "15m" }

test("a command runs over vsock", function(t)
  local r = vm:run("echo out; echo err >&2; exit 3")
  t:assert_eq(r.stdout, "out\n")
  t:assert_eq(r.stderr, "err\n")
  t:assert_eq(r.exit_code, 3)
end)

test("megabytes go both ways unharmed", function(t)
  local data = ("0123456789abcdef"):rep(1 << 18)
  vm:write_file("/tmp/data", data)
  t:assert(vm:read_file("/tmp/data") == data)
  t:assert_eq(#vm:run("head -c 5000000 /dev/zero").stdout, 5000000)
end)

test("syscalls come back", function(t)
  t:assert(vm:syscall(39).ret > 0)
end)

test("a killed agent fails the pending call", function(t)
  local w = provium:vm("w", "default"):boot { boot_timeout = "15m" }
  local err = t:assert_raises(function() w:run("kill -9 $PPID; sleep 60") end)
  t:assert_contains(err, "vm `w` died")
end)
