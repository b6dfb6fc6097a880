-- provium.reset_between_tests: every test finds the file's VMs as they stood when the tests began.

local vm = provium:vm("web", "default"):boot()
local idle = provium:vm("idle", "default")
vm:write_file("/tmp/state", "fresh")
local proc = vm:run_async("while read x; do echo got $x >> /tmp/got; done")
local seen = 0
provium.reset_between_tests = true

for i = 1, 4 do
  test("test " .. i .. " finds the VM as the file left it", function(t)
    seen = seen + 1
    t:assert_eq(seen, i)
    t:assert_eq(vm:state(), "booted")
    t:assert_eq(idle:state() == "booted", false)
    t:assert_eq(vm:read_file("/tmp/state"), "fresh")
    t:assert(not vm:run("test -e /tmp/got"):ok())
    proc:stdin_write(i .. "\n")
    wait_until(function() return vm:run("cat /tmp/got").stdout == "got " .. i .. "\n" end, { timeout = "30s" })
    vm:write_file("/tmp/state", "dirty " .. i)
    if i == 1 then vm:kill() end
    if i == 2 then vm:shutdown(); idle:boot() end
    if i == 3 then pcall(vm.run, vm, "echo c > /proc/sysrq-trigger; sleep 60") end
  end)
end

test("it can be read back", function(t) t:assert_eq(provium.reset_between_tests, true) end)
