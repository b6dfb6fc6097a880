--!provium lab
-- System calls that block beside the test, and memory of the task.
local vm = provium:vm("g", "default"):boot()
local test = require("tests.shared.clean")(vm)
local READ, WRITE, CLOSE, PIPE2, NANOSLEEP, MMAP, MUNMAP, PAUSE = 0, 1, 3, 293, 35, 9, 11, 34

local function pipe()
  local r = vm:syscall(PIPE2, { args = { 0, 0 }, bufs = { ("\0"):rep(8) }, ptrs = { 0 } })
  return provium.unpack("u32 u32", r.out_bufs[1])
end

test("a call blocks beside others and gives its buffers", function(t)
  local rd, wr = pipe()
  local call = vm:syscall_async(READ, { args = { rd, 0, 16 }, bufs = { ("\0"):rep(16) }, ptrs = { 1 } })
  t:assert(not call:done())
  t:assert(not vm:is_quiescent())
  t:assert_contains(t:assert_raises(function() call:await(0.02) end), "has not returned within 0.02 s")
  vm:syscall(WRITE, { args = { wr, 0, 5 }, bufs = { "hello" }, ptrs = { 1 } })
  local r = call:await(10)
  t:assert_eq(r.ret, 5)
  t:assert_eq(r.out_bufs[1]:sub(1, 5), "hello")
  t:assert(call:done())
  t:assert_eq(call:await().ret, 5)
  vm:syscall(CLOSE, rd)
  vm:syscall(CLOSE, wr)
end)

test("a call that never returns is cancelled, by the test or by its end", function(t)
  local call = vm:as("classic"):syscall_async(PAUSE)
  call:cancel()
  call:cancel()
  t:assert(call:done())
  vm:syscall_async(PAUSE)
end)

test("a finished call answers in the shape of its flavour", function(t)
  t:assert_eq(vm:as("classic"):syscall_async(CLOSE, 12345):await(10), -9)
  t:assert_eq(vm:syscall_async(CLOSE, 12345):await(10).errno, 9)
end)

test("memory of the task can be read, and a hole in it is an errno", function(t)
  local page = vm:syscall(MMAP, 0, 4096, 3, 0x22, -1, 0).ret
  local rd, wr = pipe()
  vm:syscall(WRITE, { args = { wr, 0, 3 }, bufs = { "abc" }, ptrs = { 1 } })
  t:assert_eq(vm:syscall(READ, rd, page, 3).ret, 3)
  t:assert_eq(vm:read_mem(page, 4), "abc\0")
  vm:syscall(MUNMAP, page, 4096)
  local none, errno = vm:read_mem(page, 4)
  t:assert_eq(none, nil)
  t:assert_eq(errno, 14)
  vm:syscall(CLOSE, rd)
  vm:syscall(CLOSE, wr)
end)

test("tasks meet at a barrier", function(t)
  local seen = {}
  local function side(n)
    return function()
      for round = 1, 3 do
        vm:run("true")
        seen[#seen + 1] = round
        if not provium:barrier("meet", 2, 10) then return false end
      end
      return true
    end
  end
  local x, y = provium:parallel(side(1), side(2))
  t:assert(x and y)
  t:assert_eq(table.concat(seen), "112233")
  t:assert_eq(provium:barrier("alone", 2, 0.01), false)
end)
