--!provium lab
-- Much of everything: workers, processes, bytes. What lasts does not grow with it.
local vm = provium:vm("many", "default", { memory = "512M" }):boot()
local test = require("tests.shared.clean")(vm)
local call = require("tests.shared.call")
local unpack = provium.unpack

test("64 workers, half of them threads, are in one blocking call at once", function(t)
  local rd, wr = unpack("u32 u32", select(2, call(vm, "pipe2", { 0, 0 }, { [0] = ("\0"):rep(8) })))
  local workers, calls = {}, {}
  for i = 1, 64 do
    local w = vm:spawn_worker { thread = i % 2 == 0 }
    workers[i] = w
    calls[i] = function() return select(2, call(w, "read", { rd, 0, 1 }, { [1] = "." })) end
  end
  local number = tostring(vm:syscall_number("read"))
  local function inside(w)
    return vm:read_file(("/proc/%d/task/%d/syscall"):format(w:pid(), w:tid())):match("^%S+ %S+") == number .. " 0x" .. ("%x"):format(rd)
  end
  calls[65] = function()
    for _, w in ipairs(workers) do wait_until(function() return inside(w) end, { timeout = 60, interval = 0.02 }) end
    call(vm, "write", { wr, 0, 64 }, { [1] = ("z"):rep(64) })
  end
  t:assert_eq(table.concat({ provium:parallel(table.unpack(calls)) }, "", 1, 64), ("z"):rep(64))
  call(vm, "close", { rd })
  call(vm, "close", { wr })
end)

test("64 workers run commands at once", function(t)
  local calls = {}
  for i = 1, 64 do
    local w = vm:spawn_worker()
    calls[i] = function() return w:run({ "echo", tostring(i) }).stdout end
  end
  for i, said in ipairs { provium:parallel(table.unpack(calls)) } do t:assert_eq(said, i .. "\n") end
end)

test("hundreds of short processes, orphans among them, leave the agent as it was", function(t)
  local function some(count)
    for i = 1, count do
      if i % 4 == 0 then vm:run("(sleep 0 &) ; exit 0"):assert_ok() else vm:run({ "true" }):assert_ok() end
    end
  end
  some(100)
  local before = vm:agent_state()
  some(400)
  local after = vm:agent_state()
  for _, key in ipairs { "processes", "tasks", "io_fds", "task_fds", "queued_bytes" } do t:assert_eq(after[key], before[key], key) end
  t:assert(after.rss_bytes - before.rss_bytes <= 64 * 1024, "the agent grew from " .. before.rss_bytes .. " to " .. after.rss_bytes)
end)

test("64 MiB pass through a stream, and the agent holds no more than a window of them", function(t)
  local before, most = vm:agent_state(), 0
  local stream, bytes, chunks = vm:run_async("dd if=/dev/zero bs=64k count=1024 2> /dev/null"):stdout_stream(), 0, 0
  for chunk in function() return stream:next(60) end do
    bytes, chunks = bytes + #chunk, chunks + 1
    if chunks % 50 == 0 then
      local state = vm:agent_state()
      most = math.max(most, state.queued_bytes + state.rss_bytes - before.rss_bytes)
    end
  end
  t:assert_eq(bytes, 64 << 20)
  t:assert(chunks >= 50)
  t:assert(most <= 8 << 20, "the agent held " .. most .. " bytes")
end)

for _, device in ipairs { "/dev/console", "/dev/hvc0" } do
  test("a flood on " .. device .. " is in the log to its last line", function(t)
    -- QEMU drops what goes to hvc0 beyond the 256 KiB that wait for their reader; a busy host reads late.
    local COUNT = device == "/dev/hvc0" and 3000 or 15000
    local line = "flood of " .. device .. " %07d of many"
    local last = "the flood of " .. device .. " ends"
    local program = ("BEGIN { for (i = 1; i <= %d; i++) printf \"%s\\n\", i; print \"%s\" }"):format(COUNT, line, last)
    vm:run({ "sh", "-c", "awk '" .. program .. "' > " .. device }):assert_ok()
    vm:console():expect(last, 60)
    local seen = 0
    for number in vm:console():read_log():gmatch("flood of " .. device .. " (%d+) of many\r?\n") do
      seen = seen + 1
      if tonumber(number) ~= seen then t:fail("line " .. number .. " stands where " .. seen .. " belongs") end
    end
    t:assert_eq(seen, COUNT)
  end)
end
