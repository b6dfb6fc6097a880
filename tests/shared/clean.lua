-- Tests with a check behind each: children, tasks and descriptors of the agent are those from before.
local KEPT = { "processes", "tasks", "io_fds", "task_fds" }

local GETPID = 39

local function shown(vm)
  -- What a cancelled call leaves in its task is freed by the task's next request.
  vm:syscall(GETPID)
  local state, words = vm:agent_state(), {}
  for _, key in ipairs(KEPT) do words[#words + 1] = key .. " " .. state[key] end
  return table.concat(words, ", ")
end

return function(vm)
  -- What a task forks for a moment shares its descriptors: the state counts when it stays.
  local before, same = nil, 0
  wait_until(function()
    local now = shown(vm)
    same = now == before and same + 1 or 0
    before = now
    return same == 5
  end, { timeout = 60, interval = 0.02, desc = "an agent at rest" })
  return function(name, ...)
    test(name, ...)
    test("nothing is left of: " .. name, function(t)
      local now
      local same = pcall(wait_until, function()
        now = shown(vm)
        return now == before
      end, { timeout = 20, interval = 0.02 })
      t:assert(same, "the agent held " .. before .. " and holds " .. tostring(now))
      t:assert_eq(vm:open_file_count(), 0)
      t:assert_eq(vm:open_stream_count(), 0)
      t:assert(vm:is_quiescent())
    end)
  end
end
