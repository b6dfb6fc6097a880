--!provium lab
-- One worker traces another: ptrace(2).
local vm = provium:vm("trace", "default"):boot()
local test = require("tests.shared.clean")(vm)
local call = require("tests.shared.call")
local pack, unpack = provium.pack, provium.unpack

local PEEKDATA, POKEDATA, DETACH, SYSCALL, GETREGSET, SETREGSET, SEIZE, INTERRUPT, SYSCALL_INFO =
  2, 5, 17, 24, 0x4204, 0x4205, 0x4206, 0x4207, 0x420e
local TRACESYSGOOD, WALL, SIGTRAP, PRSTATUS = 1, 0x40000000, 5, 1
local ENTRY, EXIT = 1, 2
--- The general registers: how many words they are, and which of them a system call returns its value in.
local REGISTERS = ({ x86_64 = { count = 27, result = 10 }, aarch64 = { count = 34, result = 0 } })[vm:arch()]

--- Waits for a stop of the tracee and returns the signal that it stopped with.
local function stop_of(tracer, pid)
  local got, status = call(tracer, "wait4", { pid, 0, WALL, 0 }, { [1] = ("\0"):rep(4) })
  assert(got == pid)
  status = unpack("u32", status)
  assert(status & 0xff == 0x7f, "not a stop: " .. status)
  return status >> 8 & 0xff
end

--- ptrace(2) on all general registers; `regs` are to be set, nil: returns them.
local function registers(tracer, pid, regs)
  local r = tracer:syscall("ptrace", {
    args = { regs and SETREGSET or GETREGSET, pid, PRSTATUS, 0 },
    bufs = { pack("u64 u64", 0, REGISTERS.count * 8), regs or ("\0"):rep(REGISTERS.count * 8) },
    ptrs = { 3 },
    nested = { { parent = 1, child = 2, offset = 0 } },
  })
  assert(r.errno == 0, "ptrace: errno " .. r.errno)
  return r.out_bufs[2]
end

--- The registers with another value to be returned by the system call that they are in.
local function returning(regs, value)
  local at = REGISTERS.result * 8
  return regs:sub(1, at) .. pack("i64", value) .. regs:sub(at + 9)
end

--- What a system call that the tracee has stopped at is at (ENTRY, EXIT), and its number or value.
local function syscall_info(tracer, pid)
  local _, info = call(tracer, "ptrace", { SYSCALL_INFO, pid, 88, 0 }, { [3] = ("\0"):rep(88) })
  return info:byte(1), unpack("i64", info:sub(25, 32))
end

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
  local op, number
  -- What the task does to get its request comes first; each call stops it twice, at its entry and at its exit.
  for _ = 1, 100 do
    call(tracer, "ptrace", { SYSCALL, pid, 0, 0 })
    if stop_of(tracer, pid) == SIGTRAP | 0x80 then
      op, number = syscall_info(tracer, pid)
      if op == ENTRY and number == getppid then break end
    end
  end
  t:assert_eq(op, ENTRY)
  t:assert_eq(number, getppid)
  call(tracer, "ptrace", { SYSCALL, pid, 0, 0 })
  t:assert_eq(stop_of(tracer, pid), SIGTRAP | 0x80)
  local exit, value = syscall_info(tracer, pid)
  t:assert_eq(exit, EXIT)
  t:assert(value > 0)
  registers(tracer, pid, returning(registers(tracer, pid), 4711))
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
