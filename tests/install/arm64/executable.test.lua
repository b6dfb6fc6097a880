-- A release's arm64 executable in an emulated arm64 guest whose root is a directory of this host (build.sh).
provium.timeout = "20m"

local vm = provium:vm("arm", "arm"):boot()

local function provium_inside(arguments)
  return vm:run("PATH=/bin HOME=/root /bin/provium " .. arguments, { timeout = "10m" }):assert_ok().stdout
end

test("it starts, with a C library and nothing else around it", function(t)
  t:assert_contains(provium_inside("--version"), "provium ")
end)

test("it runs tests without a machine", function(t)
  t:assert_contains(provium_inside("/tests/inside.test.lua --vmm local"), "1 passed, 0 failed")
end)

test("its doctor finds the guest that it carries, and no QEMU", function(t)
  local got = provium_inside("doctor || true")
  t:assert_contains(got, "default guest  embedded")
  t:assert_contains(got, "qemu-system-x86_64 was not found")
end)
