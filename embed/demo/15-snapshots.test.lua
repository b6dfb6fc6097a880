-- Snapshots: a VM as it stood, as often as wanted.

local vm = provium:vm("saved", "default"):boot()
vm:write_file("/tmp/state", "prepared")
local reader = vm:run_async("read line; echo got $line")

-- What the file has made up to here is what every test finds.
provium.reset_between_tests = true

test("a test may do to the VM whatever it likes", function()
  vm:run("rm /tmp/state"):assert_ok()
  vm:kill()
end)

test("the next one finds it prepared, with its process still waiting", function()
  assert(vm:read_file("/tmp/state") == "prepared")
  reader:stdin_write("a line\n")
  assert(reader:wait().stdout == "got a line\n")
end)

test("by hand: save, break, go back", function()
  local snap = vm:snapshot()
  vm:write_file("/tmp/state", "broken")
  vm:shutdown()
  vm:restore(snap)
  assert(vm:read_file("/tmp/state") == "prepared")

  -- Another VM goes on from the same snapshot; the two share the memory that neither of them changes.
  local twin = provium:vm("twin", "default")
  twin:restore(snap)
  twin:write_file("/tmp/state", "mine")
  assert(vm:read_file("/tmp/state") == "prepared")
end)
