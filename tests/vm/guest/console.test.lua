--!provium lab
-- The console as a stream, and the clock.
local vm = provium:vm("console", "default"):boot()
local test = require("tests.shared.clean")(vm)
local function say(text) vm:run({ "sh", "-c", "echo \"$1\" > /dev/console", "sh", text }):assert_ok() end

test("several streams follow the console, each from where it began", function(t)
  local console = vm:console()
  local first = console:read()
  say("one-marker")
  first:expect("one-marker", 20)
  local second = console:read()
  say("two-marker")
  t:assert_contains(first:read_until("two-marker", 20), "two-marker")
  t:assert(not second:read_until("two-marker", 20):find("one-marker", 1, true))
  t:assert_eq(vm:open_stream_count(), 2)
  t:assert(not second:eof())
end)

test("a flood passes through a stream piece by piece", function(t)
  local s = vm:console():read()
  local p = vm:run_async("yes flood-of-lines | head -c 400000 > /dev/console; echo over-now > /dev/console")
  local n, tail = 0, ""
  while not tail:find("over-now", 1, true) do
    local chunk = s:next(20)
    if chunk == nil then break end
    t:assert(#chunk <= 65536)
    n = n + #chunk
    tail = (tail .. chunk):sub(-200)
  end
  t:assert(n >= 400000, "only " .. n .. " bytes came")
  p:wait(20):assert_ok()
end)

test("the clock is set, moved both ways, and refuses what the kernel cannot keep", function(t)
  local clock = vm:clock()
  local now = clock:get_ns()
  clock:advance("36h")
  t:assert(clock:get_ns() - now >= 36 * 3600 * 1000000000)
  clock:advance("-36h")
  t:assert(clock:get_ns() - now < 600 * 1000000000)
  clock:set(1000000.5)
  t:assert(clock:get() >= 1000000.5 and clock:get() < 1000600)
  clock:set_ns(2000000000000000001)
  t:assert(clock:get_ns() >= 2000000000000000001)
  t:assert_contains(t:assert_raises(function() clock:set(-5) end), "before 1970")
  clock:set_ns(now)
end)
