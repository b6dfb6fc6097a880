--!provium lab
-- A guest that ends under those who wait on it.

test("calls that wait while their vm is shut down are told so", function(t)
  local vm = provium:vm("ending", "default"):boot()
  local waiting = {
    provium:go(function() return select(2, pcall(vm.run, vm, { "sleep", "100" })) end),
    provium:go(function() return select(2, pcall(vm.syscall, vm, "ppoll", 0, 0, 0, 0, 0)) end),
  }
  wait_until(function() return vm:agent_state().processes > 0 end, { timeout = 60, interval = 0.02 })
  vm:shutdown()
  for _, task in ipairs(waiting) do t:assert_contains(task:wait(20), "vm `ending` was shut down meanwhile") end
end)

test("calls that wait while their vm is killed are told so", function(t)
  local vm = provium:vm("ending", "default"):boot()
  local task = provium:go(function() return select(2, pcall(vm.run, vm, { "sleep", "100" })) end)
  wait_until(function() return vm:agent_state().processes > 0 end, { timeout = 60, interval = 0.02 })
  vm:kill()
  t:assert_contains(task:wait(20), "vm `ending` was killed meanwhile")
end)
