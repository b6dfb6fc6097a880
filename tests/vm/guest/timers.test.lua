--!provium lab
-- What a jump of the wall clock does to what waits for a time.
local vm = provium:vm("timers", "default"):boot()
local test = require("tests.shared.clean")(vm)
local call = require("tests.shared.call")
local pack, unpack = provium.pack, provium.unpack

local REALTIME, MONOTONIC = 0, 1
local ABSTIME, CANCEL_ON_SET = 1, 2
local ECANCELED = 125
local HOUR = 3600

--- A timer of the worker that expires once: `at` in seconds, after which it is asked for with `flags`.
local function timer(w, clock, at, flags)
  local fd = call(w, "timerfd_create", { clock, 0 })
  call(w, "timerfd_settime", { fd, flags, 0, 0 }, { [2] = pack("i64 i64 i64 i64", 0, 0, at, 0) })
  return fd
end

--- Seconds until a timer expires; 0 when it has.
local function left(w, fd)
  local _, setting = call(w, "timerfd_gettime", { fd, 0 }, { [1] = ("\0"):rep(32) })
  return select(3, unpack("i64 i64 i64 i64", setting))
end

local function reading(w, fd) return w:syscall_async("read", { args = { fd, 0, 8 }, bufs = { ("\0"):rep(8) }, ptrs = { 1 } }) end

local function now() return math.floor(vm:clock():get()) end

test("a timer for a point of time expires when the clock jumps over it", function(t)
  local w = vm:spawn_worker()
  local fd = timer(w, REALTIME, now() + HOUR, ABSTIME)
  local read = reading(w, fd)
  vm:clock():advance("30m")
  t:assert(not read:done())
  vm:clock():advance("31m")
  local r = read:await(20)
  t:assert_eq(r.ret, 8)
  t:assert_eq(unpack("u64", r.out_bufs[1]), 1)
  vm:clock():advance("-61m")
end)

test("a clock that is put back makes it wait longer", function(t)
  local w = vm:spawn_worker()
  local fd = timer(w, REALTIME, now() + HOUR, ABSTIME)
  vm:clock():advance("-10h")
  local seconds = left(w, fd)
  t:assert(seconds > 10 * HOUR and seconds <= 11 * HOUR, seconds .. " s left")
  vm:clock():advance("10h")
  t:assert(left(w, fd) <= HOUR)
end)

test("a timer that asks for it is cancelled by every jump, whoever reads it", function(t)
  local w = vm:spawn_worker()
  local fd = timer(w, REALTIME, now() + 10 * HOUR, ABSTIME | CANCEL_ON_SET)
  local read = reading(w, fd)
  vm:clock():advance("1s")
  t:assert_eq(read:await(20).errno, ECANCELED)
  -- A set without a reader is told to the next one.
  vm:clock():set_ns(vm:clock():get_ns())
  t:assert_eq(reading(w, fd):await(20).errno, ECANCELED)
  -- Once told, it goes on.
  local again = reading(w, fd)
  t:assert(not again:done())
  t:assert(left(w, fd) > 9 * HOUR)
  vm:clock():advance("-1s")
  t:assert_eq(again:await(20).errno, ECANCELED)
end)

test("timers of the monotonic clock, and those for a length of time, take no notice", function(t)
  local w = vm:spawn_worker()
  local steady, length = timer(w, MONOTONIC, HOUR, 0), timer(w, REALTIME, HOUR, 0)
  for _, jump in ipairs { "5h", "-10h", "5h" } do
    vm:clock():advance(jump)
    for _, fd in ipairs { steady, length } do
      local seconds = left(w, fd)
      t:assert(seconds > HOUR / 2 and seconds <= HOUR, seconds .. " s left")
    end
  end
end)

test("a sleep until a point of time ends when the clock gets there", function(t)
  local w = vm:spawn_worker()
  local sleep = w:syscall_async("clock_nanosleep", {
    args = { REALTIME, ABSTIME, 0, 0 }, bufs = { pack("i64 i64", now() + HOUR, 0) }, ptrs = { 2 },
  })
  t:assert(not sleep:done())
  vm:clock():advance("2h")
  t:assert_eq(sleep:await(20).ret, 0)
  vm:clock():advance("-2h")
end)
