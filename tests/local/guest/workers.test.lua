--!provium lab
-- Workers: forks and threads with credentials of their own.
local vm = provium:vm("g", "default"):boot()
local test = require("tests.shared.clean")(vm)
local GETPID, GETUID, SETRESUID, UMASK, EXIT_GROUP, CLOSE, PIPE2, READ, WRITE = 39, 102, 117, 95, 231, 3, 293, 0, 1

test("a fork has a pid of its own, a thread shares that of its task", function(t)
  local fork, thread = vm:spawn(), vm:spawn_worker { thread = true }
  local main = vm:syscall(GETPID).ret
  t:assert_eq(fork:syscall(GETPID), fork:pid())
  t:assert(fork:pid() ~= main)
  t:assert_eq(thread:syscall(GETPID).ret, main)
  t:assert(thread:tid() ~= thread:pid())
  t:assert(fork:handle() ~= thread:handle())
end)

test("umask of a fork is its own", function(t)
  local fork = vm:spawn()
  local before = vm:syscall(UMASK, 18).ret
  fork:syscall(UMASK, 63)
  t:assert_eq(vm:syscall(UMASK, before).ret, 18)
end)

test("descriptors of a thread are those of its task, those of a fork are copies", function(t)
  local fork, thread = vm:spawn(), vm:spawn { thread = true }
  local f = vm:open_file("/proc/self/stat", { read = true })
  t:assert_eq(fork:syscall(8, f:fd(), 0, 1), -9)
  t:assert_eq(thread:syscall(8, f:fd(), 0, 1), 0)
  t:assert(#thread:fd_stream(f):read_until(" ", 10) > 0)
end)

test("a fork keeps nothing of a command that a thread starts meanwhile", function(t)
  local thread = vm:spawn_worker { thread = true }
  -- Between its pipes and its program the command looks through all of these directories.
  local path = ("/-:"):rep(40000) .. "/usr/bin:/bin"
  local running, forks = true, {}
  provium:parallel(function()
    for _ = 1, 10 do
      local out = thread:run_async("true", { args = {}, env = { PATH = path } }):stdout_stream()
      wait_until(function() return out:next(0) == nil and out:eof() end, { timeout = 20, interval = 0.01 })
    end
    running = false
  end, function()
    while running and #forks < 50 do forks[#forks + 1] = vm:spawn_worker() end
  end)
  for _, fork in ipairs(forks) do fork:close() end
  thread:close()
end)

test("files, processes and the rest work on a worker", function(t)
  local w = vm:spawn_worker()
  local dir = w:run("mktemp -d").stdout:match("%S+")
  w:write_file(dir .. "/x", "data")
  t:assert_eq(w:read_file(dir .. "/x"), "data")
  t:assert_eq(w:stat(dir .. "/x").size, 4)
  local f = w:open_file(dir .. "/x", { read = true })
  t:assert_eq(f:read(2), "da")
  local tail = w:tail_file(dir .. "/x", { start = 0 })
  t:assert_eq(tail:read_until("data", 10), "data")
  local p = w:run_async("exit 4")
  t:assert_eq(w:join().processes[1].exit_code, 4)
  t:assert_eq(p:wait(0).exit_code, 4)
  t:assert_eq(w:batch(function(q) q:stat(dir .. "/x") end)[1].ok.size, 4)
  t:assert(w:clock():get() > 0)
  -- Without a shell: one that is just starting may swallow an interrupt.
  local sleeper = w:run_async("sleep", { args = { "1000" } })
  w:kill("int")
  t:assert_eq(sleeper:wait(10).signal, 2)
  w:close()
  t:assert(not w:alive())
  t:assert_contains(t:assert_raises(function() w:syscall(GETPID) end), "has ended")
end)

test("the death of a worker is told at once and hurts nobody else", function(t)
  local w = vm:spawn()
  t:assert_contains(t:assert_raises(function() w:syscall(EXIT_GROUP, 3) end), "exited with status 3")
  t:assert(not w:alive())
  local other = vm:spawn()
  t:assert_eq(other:syscall(GETPID), other:pid())
  vm:run("kill -9 " .. other:pid()):assert_ok()
  wait_until(function() return not other:alive() end, { timeout = 10, interval = 0.01 })
  t:assert(vm:run("true"):ok())
end)

test("blocking calls of two workers overlap while a third task releases them", function(t)
  local a, b = vm:spawn { thread = true }, vm:spawn { thread = true }
  local pipe = vm:syscall(PIPE2, { args = { 0, 0 }, bufs = { ("\0"):rep(8) }, ptrs = { 0 } })
  local rd, wr = provium.unpack("u32 u32", pipe.out_bufs[1])
  local function reader(w)
    return function() return w:syscall(READ, { args = { rd, 0, 1 }, bufs = { "." }, ptrs = { 1 } }).out_bufs[1] end
  end
  local x, y = provium:parallel(reader(a), reader(b), function()
    vm:syscall(WRITE, { args = { wr, 0, 2 }, bufs = { "zz" }, ptrs = { 1 } })
  end)
  t:assert_eq(x .. y, "zz")
  vm:syscall(CLOSE, rd)
  vm:syscall(CLOSE, wr)
end)
