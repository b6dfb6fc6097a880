--!provium lab
-- The guest's kernel, driven directly by several tasks.
local vm = provium:vm("kernel", "default"):boot()
local test = require("tests.shared.clean")(vm)
local pack, unpack = provium.pack, provium.unpack

local LOCK_EX, LOCK_NB, LOCK_UN = 2, 4, 8
local AT_FDCWD = -100

local call = require("tests.shared.call")
local epoll = require("tests.shared.epoll")(vm)
local dir = vm:run("mktemp -d"):assert_ok().stdout:match("%S+")

test("flock makes one worker wait until another lets go", function(t)
  local a, b = vm:spawn_worker(), vm:spawn_worker()
  vm:write_file(dir .. "/lock", "")
  local fa = call(a, "openat", { AT_FDCWD, 0, 2, 0 }, { [1] = dir .. "/lock\0" })
  local fb = call(b, "openat", { AT_FDCWD, 0, 2, 0 }, { [1] = dir .. "/lock\0" })
  local order = {}
  call(a, "flock", { fa, LOCK_EX })
  t:assert_eq(b:syscall("flock", fb, LOCK_EX | LOCK_NB).errno, 11)
  provium:parallel(
    function()
      call(b, "flock", { fb, LOCK_EX })
      order[#order + 1] = "b has it"
      call(b, "flock", { fb, LOCK_UN })
    end,
    function()
      -- /proc/locks shows a waiter as "-> FLOCK": then b is inside the call.
      wait_until(function() return vm:read_file("/proc/locks"):find("->", 1, true) end, { interval = 0.02 })
      order[#order + 1] = "a lets go"
      call(a, "flock", { fa, LOCK_UN })
    end
  )
  t:assert_eq(table.concat(order, ", "), "a lets go, b has it")
end)

test("open file description locks conflict between workers", function(t)
  local a, b = vm:spawn_worker(), vm:spawn_worker()
  local F_OFD_SETLK, WRLCK = 37, 1
  local lock = pack("i16 i16 u32 i64 i64 i32 u32", WRLCK, 0, 0, 0, 10, 0, 0)
  local fa = call(a, "openat", { AT_FDCWD, 0, 66, 384 }, { [1] = dir .. "/ofd\0" })
  local fb = call(b, "openat", { AT_FDCWD, 0, 66, 384 }, { [1] = dir .. "/ofd\0" })
  call(a, "fcntl", { fa, F_OFD_SETLK, 0 }, { [2] = lock })
  t:assert_eq(b:syscall("fcntl", { args = { fb, F_OFD_SETLK, 0 }, bufs = { lock }, ptrs = { 2 } }).errno, 11)
  a:close()
  call(b, "fcntl", { fb, F_OFD_SETLK, 0 }, { [2] = lock })
end)

test("two threads wait on one futex until their task wakes them", function(t)
  local a, b = vm:spawn_worker { thread = true }, vm:spawn_worker { thread = true }
  local word = call(vm, "mmap", { 0, 4096, 3, 0x22, -1, 0 })
  local function waiter(w) return function() return w:syscall("futex", word, 0, 0, 0, 0, 0).errno end end
  local x, y = provium:parallel(waiter(a), waiter(b), function()
    local woken = 0
    wait_until(function()
      woken = woken + call(vm, "futex", { word, 1, 2, 0, 0, 0 })
      return woken == 2
    end, { interval = 0.02 })
  end)
  t:assert_eq(x, 0)
  t:assert_eq(y, 0)
  call(vm, "munmap", { word, 4096 })
end)

test("a futex wait beside the test is woken by it", function(t)
  local word = call(vm, "mmap", { 0, 4096, 3, 0x22, -1, 0 })
  local wait = vm:syscall_async("futex", word, 0, 0, 0, 0, 0)
  wait_until(function() return call(vm, "futex", { word, 1, 1, 0, 0, 0 }) == 1 end, { interval = 0.02 })
  t:assert_eq(wait:await(10).ret, 0)
  call(vm, "munmap", { word, 4096 })
end)

test("epoll tells of an eventfd that a thread has written", function(t)
  local w = vm:spawn_worker { thread = true }
  local event = call(vm, "eventfd2", { 0, 0 })
  local poll = call(vm, "epoll_create1", { 0 })
  call(vm, "epoll_ctl", { poll, 1, event, 0 }, { [3] = epoll.event(1, 4711) })
  local pending = vm:syscall_async("epoll_pwait", { args = { poll, 0, 1, -1, 0, 8 }, bufs = { epoll.room(1) }, ptrs = { 1 } })
  call(w, "write", { event, 0, 8 }, { [1] = pack("u64", 3) })
  local r = pending:await(10)
  t:assert_eq(r.ret, 1)
  t:assert_eq(epoll.tag(r.out_bufs[1], 1), 4711)
  local _, count = call(vm, "read", { event, 0, 8 }, { [1] = ("\0"):rep(8) })
  t:assert_eq(unpack("u64", count), 3)
  call(vm, "close", { poll })
  call(vm, "close", { event })
end)

test("a memfd takes a seal that stops writers", function(t)
  local fd = call(vm, "memfd_create", { 0, 2 }, { [0] = "sealed\0" })
  call(vm, "write", { fd, 0, 4 }, { [1] = "data" })
  call(vm, "fcntl", { fd, 1033, 8 })
  t:assert_eq(vm:syscall("write", { args = { fd, 0, 1 }, bufs = { "x" }, ptrs = { 1 } }).errno, 1)
  call(vm, "lseek", { fd, 0, 0 })
  local _, data = call(vm, "read", { fd, 0, 4 }, { [1] = "...." })
  t:assert_eq(data, "data")
  call(vm, "close", { fd })
end)

test("a descriptor travels over AF_UNIX", function(t)
  local _, pair = call(vm, "socketpair", { 1, 1, 0, 0 }, { [3] = ("\0"):rep(8) })
  local left, right = unpack("u32 u32", pair)
  local event = call(vm, "eventfd2", { 9, 0 })
  local header = pack("u64 u32 u32 u64 u64 u64 u64 u32 u32", 0, 0, 0, 0, 1, 0, 24, 0, 0)
  local function message(control, text)
    return { args = { 0, 0, 0 }, bufs = { header, pack("u64 u64", 0, #text), text, control }, ptrs = { 1 },
      nested = { { parent = 1, child = 2, offset = 16 }, { parent = 2, child = 3, offset = 0 }, { parent = 1, child = 4, offset = 32 } } }
  end
  local sent = message(pack("u64 i32 i32 i32 i32", 20, 1, 1, event, 0), "x")
  sent.args[1] = left
  t:assert_eq(vm:syscall("sendmsg", sent).ret, 1)
  local received = message(("\0"):rep(24), "?")
  received.args[1] = right
  local r = vm:syscall("recvmsg", received)
  t:assert_eq(r.ret, 1)
  t:assert_eq(r.out_bufs[3], "x")
  local copy = unpack("i32", r.out_bufs[4]:sub(17))
  t:assert(copy ~= event and copy > 0, "got descriptor " .. tostring(copy))
  local _, count = call(vm, "read", { copy, 0, 8 }, { [1] = ("\0"):rep(8) })
  t:assert_eq(unpack("u64", count), 9)
  for _, fd in ipairs { left, right, event, copy } do call(vm, "close", { fd }) end
end)

test("a thread that drops its uid leaves its task root", function(t)
  local w = vm:spawn_worker { thread = true }
  call(w, "setresuid", { 65534, 65534, 65534 })
  t:assert_eq(call(w, "getuid", {}), 65534)
  t:assert_eq(call(vm, "getuid", {}), 0)
  vm:write_file(dir .. "/secret", "x", { perm = "0600" })
  t:assert_contains(t:assert_raises(function() w:read_file(dir .. "/secret") end), "EACCES")
  t:assert_eq(w:run({ "id", "-u" }).stdout, "65534\n")
  t:assert_eq(vm:read_file(dir .. "/secret"), "x")
end)

test("a capability that a worker drops is gone for its commands too", function(t)
  local w = vm:spawn_worker()
  local mount = "mkdir -p " .. dir .. "/m && mount -t tmpfs none " .. dir .. "/m"
  call(w, "prctl", { 24, 21 }) -- PR_CAPBSET_DROP, CAP_SYS_ADMIN
  t:assert_eq(w:run(mount).exit_code ~= 0, true)
  t:assert_eq(vm:run(mount .. " && umount " .. dir .. "/m").exit_code, 0)
end)

test("mount and host name namespaces belong to the worker that unshared them", function(t)
  local w = vm:spawn_worker()
  local host = vm:run("hostname").stdout
  call(w, "unshare", { 0x04000000 | 0x00020000 })
  call(w, "sethostname", { 0, 5 }, { [0] = "inner" })
  call(w, "mount", { 0, 0, 0, 0x44000, 0 }, { [0] = "none\0", [1] = "/\0" }) -- MS_REC | MS_PRIVATE
  t:assert_eq(w:run("hostname").stdout, "inner\n")
  t:assert_eq(vm:run("hostname").stdout, host)
  w:run("mkdir -p " .. dir .. "/ns && mount -t tmpfs none " .. dir .. "/ns"):assert_ok()
  w:write_file(dir .. "/ns/inside", "1")
  t:assert_eq(vm:run("test -e " .. dir .. "/ns/inside").exit_code, 1)
end)

test("a user namespace makes a worker nobody until it is mapped", function(t)
  local w = vm:spawn_worker()
  local r = w:syscall("unshare", 0x10000000)
  if r.errno == 22 or r.errno == 38 then return end -- a kernel without user namespaces
  t:assert_eq(r.errno, 0)
  t:assert_eq(call(w, "geteuid", {}), 65534)
  vm:write_file("/proc/" .. w:pid() .. "/uid_map", "0 0 1")
  t:assert_eq(call(w, "geteuid", {}), 0)
end)

test("a seccomp filter binds the worker that set it", function(t)
  local w = vm:spawn_worker()
  call(w, "prctl", { 38, 1, 0, 0, 0 })
  -- load nr; if it is getppid return ERRNO | 42, else ALLOW
  local filter = pack("u16 u8 u8 u32 u16 u8 u8 u32 u16 u8 u8 u32 u16 u8 u8 u32",
    0x20, 0, 0, 0, 0x15, 0, 1, w:syscall_number("getppid"), 0x06, 0, 0, 0x0005002A, 0x06, 0, 0, 0x7fff0000)
  local r = w:syscall("seccomp", {
    args = { 1, 0, 0 }, bufs = { pack("u64 u64", 4, 0), filter }, ptrs = { 2 },
    nested = { { parent = 1, child = 2, offset = 8 } },
  })
  t:assert_eq(r.errno, 0)
  t:assert_eq(w:syscall("getppid").errno, 42)
  t:assert_eq(vm:syscall("getppid").errno, 0)
  t:assert_eq(w:run("echo fine").stdout, "fine\n")
end)
