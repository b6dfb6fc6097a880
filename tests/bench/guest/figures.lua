--!provium lab
-- What tests/bench/guest/run.ts measures: how long each call takes comes from the events, the rest is printed.
local vm = provium:vm("bench", "default", { memory = "512M" }):boot()

local function number(name, standard) return math.tointeger(tonumber(os.getenv(name) or standard)) end
local RUNS, MEGABYTES, FLOOD, WORKERS = number("RUNS", 10000), number("MEGABYTES", 1024), number("FLOOD", 10), 64

local function proc(name)
  local file = io.open("/proc/self/" .. name)
  local text = file and file:read("a")
  if file then file:close() end
  return text
end

--- MiB of this runner and of the agent.
local function memory()
  local state = vm:agent_state()
  return tonumber(proc("status"):match("VmRSS:%s+(%d+)")) / 1024, state.rss_bytes / 2 ^ 20
end

--- Runs `body` and prints what it did to the memory of both, with the most that the runner held meanwhile.
local function watched(name, body)
  local runner, agent = memory()
  local reset = io.open("/proc/self/clear_refs", "w")
  if reset then reset:write("5") reset:close() end -- the peak counts from here
  body()
  local peak = tonumber(proc("status"):match("VmHWM:%s+(%d+)")) / 1024
  local runner_after, agent_after = memory()
  print(("%s: runner %.1f -> %.1f MiB (at most %.1f), agent %.2f -> %.2f MiB"):format(
    name, runner, runner_after, peak, agent, agent_after))
end

local function test_each(name, count, one)
  test(name, { timeout = "1h" }, function() for i = 1, count do one(i) end end)
end

test_each("syscall", 2000, function() vm:syscall("getpid") end)
test_each("fork", 200, function() vm:spawn_worker():close() end)
test_each("thread", 200, function() vm:spawn_worker { thread = true }:close() end)

test("true", { timeout = "1h" }, function()
  watched(RUNS .. " commands", function() for _ = 1, RUNS do vm:run({ "true" }) end end)
end)

test("workers", { timeout = "1h" }, function(t)
  local workers, calls = {}, {}
  for i = 1, WORKERS do workers[i] = vm:spawn_worker() end
  for i, w in ipairs(workers) do calls[i] = function() w:run({ "true" }) end end
  t:subtest("one after another", function() for _, each in ipairs(calls) do each() end end)
  t:subtest("at once", function() provium:parallel(table.unpack(calls)) end)
end)

test("bytes", { timeout = "1h" }, function(t)
  local source = "dd if=/dev/zero bs=64k count=" .. MEGABYTES * 16 .. " 2> /dev/null"
  t:subtest("through a stream", function()
    watched(MEGABYTES .. " MiB through a stream", function()
      local stream, bytes = vm:run_async(source):stdout_stream(), 0
      for chunk in function() return stream:next(60) end do bytes = bytes + #chunk end
      assert(bytes == MEGABYTES << 20, bytes .. " bytes came")
    end)
  end)
  t:subtest("through a pipe of the guest", function() vm:run(source .. " | cat > /dev/null"):assert_ok() end)
end)

test("console", { timeout = "1h" }, function(t)
  if os.getenv("VMM") == "local" then t:skip("the agent on this host has no console") end
  local length = 0
  watched(FLOOD .. " MB on the console", function()
    local stream = vm:console():read()
    local flood = vm:run_async("yes 'a line of the flood, sixty-four bytes long with its newline ......' | head -c " ..
      FLOOD * 1000000 .. " > /dev/console; echo over-now > /dev/console")
    local tail = ""
    repeat
      local chunk = assert(stream:next(60), "the console fell silent")
      length, tail = length + #chunk, (tail .. chunk):sub(-200)
    until tail:find("over-now", 1, true)
    flood:wait(60):assert_ok()
  end)
  t:assert(length >= FLOOD * 1000000, "only " .. length .. " bytes came")
end)

test("soak", { timeout = "1h" }, function()
  local function round(i)
    vm:syscall("getpid")
    vm:write_file("/soak", ("x"):rep(i % 5000))
    vm:read_file("/soak")
    vm:run({ "true" })
    vm:stat("/soak")
    local w = vm:spawn_worker { thread = i % 2 == 0 }
    w:syscall("getuid")
    w:close()
    local f = vm:open_file("/soak", { read = true })
    f:read(100)
    f:close()
  end
  for i = 1, 100 do round(i) end
  watched("10,000 operations", function() for i = 1, 1000 do round(i) end end)
end)
