-- What executable.test.lua runs in an arm64 guest, where the guest itself is the host.
test("a command of this very system", function(t)
  local vm = provium:vm("here", "default"):boot()
  t:assert_eq(vm:arch(), "aarch64")
  t:assert_eq(vm:run("uname -m").stdout, "aarch64\n")
end)
