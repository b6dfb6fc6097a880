--!provium lab
-- One worker traces another: ptrace(2).
local vm = provium:vm("trace", "default"):boot()
local test = require("tests.shared.clean")(vm)
local call = require("tests.shared.call")
local pack, unpack = provium.pack, provium.unpack

local PEEKDATA, POKEDATA, GETREGS, SETREGS, DETACH, SYSCALL, SEIZE, INTERRUPT, LISTEN =
  2, 5, 12, 13, 17, 24, 0x4206, 0x4207, 0x4208
local TRACESYSGOOD, WALL, SIGTRAP = 1, 0x40000000, 5
local REGISTERS = 27 * 8
local RAX, ORIG_RAX = 10, 15

--- Waits for a stop of the tracee and returns the signal that it stopped with.
local function stop_of(tracer, pid)
  local got, status = call(tracer, "wait4", { pid, 0, WALL, 0 }, { [1] = ("\0"):rep(4) })
  assert(got == pid)
  status = unpack("u32", status)
  assert(status & 0xff == 0x7f, "not a stop: " .. status)
  return status >> 8 & 0xff
end

local function registers(tracer, pid)
  return select(2, call(tracer, "ptrace", { GETREGS, pid, 0, 0 }, { [3] = ("\0"):rep(REGISTERS) }))
end

local function word(regs, index) return unpack("i64", regs:sub(index * 8 + 1, index * 8 + 8)) end

local function attach(tracer, tracee)
  call(tracer, "ptrace", { SEIZE, tracee:pid(), 0, TRACESYSGOOD })
  call(tracer, "ptrace", { INTERRUPT, tracee:pid(), 0, 0 })
  stop_of(tracer, tracee:pid())
end

test("a worker that is traced and stopped answers when it is let go", function(t)
  local tracer, tracee = vm:spawn_worker(), vm:spawn_worker()
  attach(tracer, tracee)
  local answer = provium:go(function() return tracee:syscall("getpid").ret end)
  t:assert_contains(vm:read_file("/proc/" .. tracee:pid() .. "/status"), "TracerPid:\t" .. tracer:pid())
  t:assert_contains(vm:read_file("/proc/" .. tracee:pid() .. "/stat"), ") t ")
  t:assert(not answer:done())
  call(tracer, "ptrace", { DETACH, tracee:pid(), 0, 0 })
  t:assert_eq(answer:wait(20), tracee:pid())
end)

test("a tracer reads and writes the memory of its tracee", function(t)
  local tracer, tracee = vm:spawn_worker(), vm:spawn_worker()
  local page = call(tracee, "mmap", { 0, 4096, 3, 0x22, -1, 0 })
  attach(tracer, tracee)
  call(tracer, "ptrace", { POKEDATA, tracee:pid(), page + 8, 0x0123456789abcdef })
  local _, data = call(tracer, "ptrace", { PEEKDATA, tracee:pid(), page + 8, 0 }, { [3] = ("\0"):rep(8) })
  t:assert_eq(unpack("u64", data), 0x0123456789abcdef)
  call(tracer, "ptrace", { DETACH, tracee:pid(), 0, 0 })
  t:assert_eq(tracee:read_mem(page, 16), pack("u64 u64", 0, 0x0123456789abcdef))
end)

test("a tracer sees a system call of its tracee and changes what it returns", function(t)
  local tracer, tracee = vm:spawn_worker(), vm:spawn_worker()
  local getppid, pid = vm:syscall_number("getppid"), tracee:pid()
  attach(tracer, tracee)
  local answer = provium:go(function() return tracee:syscall("getppid").ret end)
  local regs
  -- What the task does to get its request comes first; each call stops it twice, at its entry and at its exit.
  for _ = 1, 100 do
    call(tracer, "ptrace", { SYSCALL, pid, 0, 0 })
    if stop_of(tracer, pid) == SIGTRAP | 0x80 then
      regs = registers(tracer, pid)
      if word(regs, ORIG_RAX) == getppid then break end
    end
  end
  t:assert_eq(word(regs, ORIG_RAX), getppid)
  t:assert_eq(word(regs, RAX), -38) -- -ENOSYS: at the entry
  call(tracer, "ptrace", { SYSCALL, pid, 0, 0 })
  t:assert_eq(stop_of(tracer, pid), SIGTRAP | 0x80)
  regs = registers(tracer, pid)
  t:assert(word(regs, RAX) > 0)
  call(tracer, "ptrace", { SETREGS, pid, 0, 0 }, { [3] = regs:sub(1, RAX * 8) .. pack("i64", 4711) .. regs:sub(RAX * 8 + 9) })
  call(tracer, "ptrace", { DETACH, pid, 0, 0 })
  t:assert_eq(answer:wait(20), 4711)
  t:assert(tracee:syscall("getppid").ret ~= 4711)
end)

test("a worker whose tracer dies goes on", function(t)
  local tracer, tracee = vm:spawn_worker(), vm:spawn_worker()
  attach(tracer, tracee)
  local answer = provium:go(function() return tracee:syscall("getpid").ret end)
  tracer:close()
  t:assert_eq(answer:wait(20), tracee:pid())
end)

test("a worker without the capability may not trace what is not its own", function(t)
  local a, b = vm:spawn_worker(), vm:spawn_worker()
  call(a, "setresuid", { 65534, 65534, 65534 })
  t:assert_eq(a:syscall("ptrace", SEIZE, b:pid(), 0, 0).errno, 1)
end)
