--!provium lab
-- Tasks that end under a call, and calls that cannot be made.
local vm = provium:vm("g", "default"):boot()
local GETPID, KILL, EXIT_GROUP, EXECVE, GETUID = 39, 62, 231, 59, 102

test("a task that exits under its call is told, and the next call finds a fresh one", function(t)
  t:assert_contains(t:assert_raises(function() vm:syscall(EXIT_GROUP, 3) end), "exited with status 3")
  t:assert(vm:syscall(GETPID).ret > 0)
  t:assert(vm:run("true"):ok())
end)

test("a task that kills itself leaves its workers alive", function(t)
  local w = vm:spawn_worker()
  local pid = vm:syscall(GETPID).ret
  t:assert_contains(t:assert_raises(function() vm:syscall(KILL, pid, 9) end), "killed by signal 9")
  t:assert_eq(w:syscall(GETPID).ret, w:pid())
  t:assert(vm:syscall(GETPID).ret ~= pid)
end)

test("a task that replaces itself is told as such", function(t)
  local w = vm:spawn_worker()
  local err = t:assert_raises(function()
    w:syscall(EXECVE, {
      args = { 0, 0, 0 },
      bufs = { "/bin/true\0", provium.pack("u64 u64", 0, 0), "true\0" },
      ptrs = { 0, 1 },
      nested = { { parent = 2, child = 3, offset = 0 } },
    })
  end)
  t:assert_contains(err, "worker")
  t:assert(not w:alive())
  t:assert(vm:run("true"):ok())
end)

test("a bad address is an errno, not the end of the task", function(t)
  local pid = vm:syscall(GETPID).ret
  t:assert_eq(vm:syscall(80, 1).errno, 14) -- chdir
  t:assert_eq(vm:syscall(GETPID).ret, pid)
end)

test("a worker that lives in another root or uid does not change the main task", function(t)
  local w = vm:spawn_worker { thread = true }
  t:assert_eq(w:syscall(GETUID).ret, vm:syscall(GETUID).ret)
  w:close()
  w:close()
  t:assert_contains(t:assert_raises(function() w:run("true") end), "has ended; run needs one that runs")
end)

test("sixteen workers answer at the same time", function(t)
  local workers, calls = {}, {}
  for i = 1, 16 do workers[i] = vm:spawn_worker { thread = i % 2 == 0 } end
  for i, w in ipairs(workers) do calls[i] = function() return w:run("echo " .. i).stdout end end
  local answers = table.pack(provium:parallel(table.unpack(calls)))
  for i = 1, 16 do t:assert_eq(answers[i], i .. "\n") end
end)
