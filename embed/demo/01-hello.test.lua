-- A test file boots the machines it needs and talks to them. This is the lab API: machines have names, and
-- a test is a function that receives its context `t`.

local guest = provium:vm("guest", "default"):boot()

test("the guest runs a kernel of its own", function(t)
  local uname = guest:run("uname -sr")
  uname:assert_ok()
  t:log(uname.stdout)
  t:assert_contains(uname.stdout, "Linux")
end)

test("its init is process 1, and the agent stays out of the way", function(t)
  local init = guest:read_file("/proc/1/cmdline")
  t:assert(not init:find("provium-agent", 1, true))
end)

-- Nothing to clean up: what a file has booted ends with it, also when a test fails.
