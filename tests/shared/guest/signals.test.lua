--!provium lab
-- Signals and time as descriptors.
local vm = provium:vm("signals", "default"):boot()
local test = require("tests.shared.clean")(vm)
local call = require("tests.shared.call")
local epoll = require("tests.shared.epoll")(vm)
local pack, unpack = provium.pack, provium.unpack
local SIG_BLOCK, SIGUSR1, SIGUSR2 = 0, 10, 12
local MONOTONIC = 1

--- A set of signals as the kernel has it: bit n-1 for signal n.
local function set(...)
  local bits = 0
  for _, signal in ipairs { ... } do bits = bits | 1 << (signal - 1) end
  return pack("u64", bits)
end

test("a signal that a worker blocks comes out of its signalfd, with its sender", function(t)
  local w = vm:spawn_worker()
  call(w, "rt_sigprocmask", { SIG_BLOCK, 0, 0, 8 }, { [1] = set(SIGUSR1, SIGUSR2) })
  local fd = call(w, "signalfd4", { -1, 0, 8, 0 }, { [1] = set(SIGUSR1, SIGUSR2) })
  local me = vm:syscall("getpid").ret
  local info = provium:parallel(
    function() return select(2, call(w, "read", { fd, 0, 128 }, { [1] = ("\0"):rep(128) })) end,
    function() call(vm, "kill", { w:pid(), SIGUSR2 }) end
  )
  local signal, _, _, sender = unpack("u32 i32 i32 u32", info)
  t:assert_eq(signal, SIGUSR2)
  t:assert_eq(sender, me)
  -- The other one is pending until it is asked for.
  call(vm, "kill", { w:pid(), SIGUSR1 })
  local _, pending = call(w, "rt_sigpending", { 0, 8 }, { [0] = ("\0"):rep(8) })
  t:assert_eq(unpack("u64", pending), 1 << (SIGUSR1 - 1))
  local _, second = call(w, "read", { fd, 0, 128 }, { [1] = ("\0"):rep(128) })
  t:assert_eq(unpack("u32", second), SIGUSR1)
end)

test("a signal that nobody blocks ends the worker, and says which it was", function(t)
  local w = vm:spawn_worker()
  call(vm, "kill", { w:pid(), SIGUSR1 })
  wait_until(function() return not w:alive() end, { interval = 0.02 })
  t:assert_contains(t:assert_raises(function() w:syscall("getpid") end), "killed by signal 10")
end)

test("a timerfd counts how often it has expired", function(t)
  local fd = call(vm, "timerfd_create", { MONOTONIC, 0 })
  local started = call(vm, "clock_gettime", { MONOTONIC, 0 }, { [1] = ("\0"):rep(16) })
  t:assert_eq(started, 0)
  -- Every 2 ms: whoever reads late finds several.
  call(vm, "timerfd_settime", { fd, 0, 0, 0 }, { [2] = pack("i64 i64 i64 i64", 0, 2000000, 0, 2000000) })
  local total = 0
  while total < 20 do
    local _, count = call(vm, "read", { fd, 0, 8 }, { [1] = ("\0"):rep(8) })
    total = total + unpack("u64", count)
  end
  call(vm, "timerfd_settime", { fd, 0, 0, 0 }, { [2] = ("\0"):rep(32) })
  local _, left = call(vm, "timerfd_gettime", { fd, 0 }, { [1] = ("\0"):rep(32) })
  t:assert_eq(left, ("\0"):rep(32))
  call(vm, "close", { fd })
end)

test("one epoll hears of a signal, a timer and a pipe", function(t)
  local w = vm:spawn_worker()
  call(w, "rt_sigprocmask", { SIG_BLOCK, 0, 0, 8 }, { [1] = set(SIGUSR1) })
  local signal = call(w, "signalfd4", { -1, 0, 8, 0 }, { [1] = set(SIGUSR1) })
  local timer = call(w, "timerfd_create", { MONOTONIC, 0 })
  local rd, wr = unpack("u32 u32", select(2, call(w, "pipe2", { 0, 0 }, { [0] = ("\0"):rep(8) })))
  local poll = call(w, "epoll_create1", { 0 })
  for fd, tag in pairs { [signal] = 1, [timer] = 2, [rd] = 3 } do
    call(w, "epoll_ctl", { poll, 1, fd, 0 }, { [3] = epoll.event(1, tag) })
  end
  local function ready()
    local n, events = call(w, "epoll_pwait", { poll, 0, 3, 0, 0, 8 }, { [1] = epoll.room(3) })
    local tags = {}
    for i = 1, n do tags[i] = epoll.tag(events, i) end
    table.sort(tags)
    return table.concat(tags, " ")
  end
  t:assert_eq(ready(), "")
  call(w, "write", { wr, 0, 1 }, { [1] = "x" })
  t:assert_eq(ready(), "3")
  call(vm, "kill", { w:pid(), SIGUSR1 })
  t:assert_eq(ready(), "1 3")
  call(w, "timerfd_settime", { timer, 0, 0, 0 }, { [2] = pack("i64 i64 i64 i64", 0, 0, 0, 1) })
  wait_until(function() return ready() == "1 2 3" end, { interval = 0.02 })
end)
