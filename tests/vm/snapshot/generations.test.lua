-- A restore of a restore of a restore: nothing adds up, nothing gets lost.

test("fifty generations, each a snapshot of the one before, keep what every one of them wrote", { timeout = "20m" }, function(t)
  local vm = provium:vm("old", "default"):boot()
  local counter = vm:run_async("while read line; do echo $line; echo $line > /tmp/line; done")
  local snap, first, last
  for generation = 1, 50 do
    counter:stdin_write(generation .. "\n")
    wait_until(function() return vm:run("cat /tmp/line").stdout == generation .. "\n" end, { timeout = "60s" })
    vm:write_file("/tmp/" .. generation, tostring(generation))
    local before = snap
    snap = vm:snapshot()
    if before then before:delete() end
    first, last = first or snap:size(), snap:size()
    vm:kill()
    vm:restore(snap)
    t:assert_eq(vm:read_file("/tmp/" .. generation), tostring(generation))
  end
  for generation = 1, 50 do t:assert_eq(vm:read_file("/tmp/" .. generation), tostring(generation)) end
  counter:close_stdin()
  local lines = select(2, counter:wait("60s").stdout:gsub("\n", "\n"))
  t:assert_eq(lines, 50)
  t:assert(last < first * 2, "the last snapshot has " .. last .. " bytes, the first had " .. first)
  t:assert(vm:run("dmesg | grep -ci 'BUG:\\|WARNING:'").stdout == "0\n")
end)
