-- Raw system calls and ioctls, in both flavours.
local lab = provium:vm("lab", "default"):boot()
local classic = lab:as("classic")
local call = require("tests.shared.call")

local GETPID, WRITE, PIPE2, CLOSE, GETCWD, CHDIR, OPEN, UMASK, READ = 39, 1, 293, 3, 79, 80, 2, 95, 0

test("a classic handle gives the kernel's integer, a lab handle a table", function(t)
  local pid = classic:syscall(GETPID)
  t:assert_eq(math.type(pid), "integer")
  local r = lab:syscall(GETPID)
  t:assert_eq(r.ret, pid)
  t:assert_eq(r.result, pid)
  t:assert_eq(r.errno, 0)
  t:assert_eq(#r.out_bufs, 0)
end)

test("a failure is -errno there and -1 with errno here", function(t)
  t:assert_eq(classic:syscall(CLOSE, 12345), -9)
  local r = lab:syscall(CLOSE, 12345)
  t:assert_eq(r.ret, -1)
  t:assert_eq(r.errno, 9)
end)

test("every call runs in the same task, so what one changes the next finds", function(t)
  local before = classic:syscall(UMASK, 63)
  t:assert_eq(classic:syscall(UMASK, before), 63)
  t:assert_eq(lab:syscall(GETPID).ret, classic:syscall(GETPID))
end)

test("buffers go to their slots and come back", function(t)
  local rc, fds = classic:syscall_bufs(PIPE2, { [0] = provium.pack("u32 u32", 0, 0) }, 0, 0)
  t:assert_eq(rc, 0)
  local rd, wr = provium.unpack("u32 u32", fds)
  t:assert_eq(classic:syscall_buf(WRITE, 1, "hello", wr, 0, 5), 5)
  local n, data = classic:syscall_bufs(READ, { [1] = ("\0"):rep(8) }, rd, 0, 8)
  t:assert_eq(n, 5)
  t:assert_eq(data:sub(1, n), "hello")
  t:assert_eq(classic:syscall(CLOSE, rd) + classic:syscall(CLOSE, wr), 0)
end)

test("the table form works on both flavours", function(t)
  for _, g in ipairs { lab, classic } do
    local r = g:syscall(GETCWD, { args = { 0, 64 }, bufs = { ("\0"):rep(64) }, ptrs = { 0 } })
    t:assert_eq(r.errno, 0)
    t:assert_eq(r.out_bufs[1]:sub(1, 1), "/")
    t:assert_eq(r.out_bufs[1]:match("^[^\0]*"), g:run({ "pwd" }).stdout:match("%S+"))
  end
end)

test("nested buffers are patched into their parents", function(t)
  -- writev(2): an iovec of two entries, each pointing to a buffer of its own
  local rc, fds = classic:syscall_bufs(PIPE2, { [0] = ("\0"):rep(8) }, 0, 0)
  t:assert_eq(rc, 0)
  local rd, wr = provium.unpack("u32 u32", fds)
  local iov = provium.pack("u64 u64 u64 u64", 0, 3, 0, 4)
  local r = lab:syscall(20, {
    args = { wr, 0, 2 },
    bufs = { iov, "abc", "defg" },
    ptrs = { 1 },
    nested = { { parent = 1, child = 2, offset = 0 }, { parent = 1, child = 3, offset = 16 } },
  })
  t:assert_eq(r.ret, 7)
  local n, data = classic:syscall_bufs(READ, { [1] = ("\0"):rep(16) }, rd, 0, 16)
  t:assert_eq(data:sub(1, n), "abcdefg")
  local ret, out = classic:syscall_ptr(20, { [1] = iov }, {
    { buf_idx = 1, ptr_offset = 0, data = "123" },
    { buf_idx = 1, ptr_offset = 16, data = "4567" },
  }, wr, 0, 2)
  t:assert_eq(ret, 7)
  t:assert_eq(#out, 32)
  lab:syscall(CLOSE, rd)
  lab:syscall(CLOSE, wr)
end)

test("64-bit values pass both ways", function(t)
  -- lseek(2) on /dev/zero keeps whatever offset it is given
  local fd = classic:syscall_buf(OPEN, 0, "/dev/zero\0", 0, 0)
  t:assert(fd >= 0)
  t:assert_eq(classic:syscall(CLOSE, fd), 0)
  -- prctl(PR_SET_NAME) and PR_GET_NAME through buffers
  t:assert_eq(classic:syscall_buf(157, 1, "tester\0", 15, 0), 0)
  local rc, name = classic:syscall_bufs(157, { [1] = ("\0"):rep(16) }, 16, 0)
  t:assert_eq(rc, 0)
  t:assert_eq(name:match("^[^\0]*"), "tester")
end)

test("an ioctl answers two values or a table", function(t)
  -- FIONREAD on a pipe
  local _, fds = classic:syscall_bufs(PIPE2, { [0] = ("\0"):rep(8) }, 0, 0)
  local rd, wr = provium.unpack("u32 u32", fds)
  classic:syscall_buf(WRITE, 1, "seven b", wr, 0, 7)
  local ret, out = classic:ioctl(rd, 0x541B, ("\0"):rep(4))
  t:assert_eq(ret, 0)
  t:assert_eq(provium.unpack("u32", out), 7)
  local r = lab:ioctl(rd, 0x541B, ("\0"):rep(4))
  t:assert_eq(r.ret, 0)
  t:assert_eq(provium.unpack("u32", r.out_data), 7)
  t:assert_eq(lab:ioctl(12345, 0x541B).errno, 9)
  local bad, nothing = classic:ioctl(12345, 0x541B)
  t:assert_eq(bad, -9)
  t:assert_eq(nothing, nil)
  t:assert_eq(classic:ioctl(rd, 0x541B, ("\0"):rep(4), {}).errno, 0)
  lab:syscall(CLOSE, rd)
  lab:syscall(CLOSE, wr)
end)

test("buffers of 16 MiB go there and back", function(t)
  local data = ("0123456789abcdef"):rep(1 << 20)
  local fd = call(lab, "memfd_create", { 0, 0 }, { [0] = "large\0" })
  t:assert_eq(call(lab, "pwrite64", { fd, 0, #data, 0 }, { [1] = data }), #data)
  local n, back = call(lab, "pread64", { fd, 0, #data, 0 }, { [1] = ("\0"):rep(#data) })
  t:assert_eq(n, #data)
  t:assert(back == data, "what was read differs")
  local later = lab:syscall_async("pread64", { args = { fd, 0, #data, 0 }, bufs = { ("\0"):rep(#data) }, ptrs = { 1 } })
  t:assert(later:await(60).out_bufs[1] == data, "what was read beside the test differs")
  local page = call(lab, "mmap", { 0, #data, 1, 1, fd, 0 })
  t:assert(lab:read_mem(page, #data) == data, "memory differs")
  call(lab, "munmap", { page, #data })
  call(lab, "close", { fd })
end)

test("wrong arguments are named", function(t)
  local cases = {
    { function() lab:syscall() end, "nr: integer expected, got no value" },
    { function() lab:syscall(1, 2, 3, 4, 5, 6, 7, 8) end, "at most 6 arguments, got 7" },
    { function() lab:syscall(1, 2, 3, "x") end, "syscall: args[3] must be an integer, got string" },
    { function() lab:syscall(1, { args = { 1, {} } }) end, "syscall: args[2] must be an integer, got table" },
    { function() lab:syscall(1, { bufs = { "a", "b" }, ptrs = { 1, 1 } }) end, "both take argument slot 1" },
    { function() lab:syscall(1, { bufs = { "a" }, nested = { { parent = 1, child = 1, offset = 0 } } }) end, "does not fit buffer 1 of 1 bytes" },
    { function() lab:syscall(1, { agrs = {} }) end, "unknown key 'agrs'" },
    { function() lab:syscall(1, { bufs = { "a" }, ptrs = { 6 } }) end, "argument slot from 0 to 5, got number 6" },
    { function() lab:syscall(1, { bufs = { "a" }, nested = { { parent = 1, child = 2, offset = 0 } } }) end, "a buffer from 1 to 1" },
    { function() lab:syscall_buf(1, -1, "x") end, "slot must be an argument slot" },
    { function() lab:ioctl(0, 0, "x", { bufs = { "a" } }) end, "1 bufs and 0 ptr_offsets" },
    { function() lab:ioctl(0, 0, "x", { bufs = { "a" }, ptr_offsets = { 0 } }) end, "opts.ptr_offsets[1]: an address of 8 bytes at 0 does not fit data of 1 bytes" },
    { function() lab:syscall(1, { bufs = { ("x"):rep(16), "a" }, nested = { { parent = 1, child = 2, offset = 0 }, { parent = 1, child = 2, offset = 4 } } }) end, "the address at 4 of buffer 1 overlaps the one at 0" },
    { function() lab:syscall_ptr(1, { [1] = ("x"):rep(8) }, { { buf_idx = 1, ptr_offset = 1, data = "y" } }) end, "does not fit the buffer of slot 1 of 8 bytes" },
    { function() lab:syscall(1, { bufs = { ("x"):rep(16 << 20), "y" } }) end, "at most 16777216 bytes together, got 16777217" },
    { function() lab:read_mem(0, (16 << 20) + 1) end, "length must be at most 16777216" },
    { function() lab:stat(("x"):rep(17 << 20)) end, "stat: the request has 1782" },
    { function() lab:syscall(1, 1.5) end, "syscall: args[1] must be an integer, got number 1.5" },
  }
  for _, case in ipairs(cases) do
    t:assert_contains(t:assert_raises(case[1]), case[2])
  end
end)

test("a name has the number of the guest's architecture, in every form", function(t)
  local pid = classic:syscall("getpid")
  t:assert_eq(pid, classic:syscall(classic:syscall_number("getpid")))
  t:assert_eq(lab:syscall("getpid").ret, pid)
  t:assert_eq(lab:syscall("getpid", {}).ret, pid)
  t:assert_eq(classic:syscall(provium.sys.getpid), pid)
  t:assert_eq(classic:syscall("39"), classic:syscall(39), "digits are a number, as everywhere in Lua")
  local rc, fds = classic:syscall_bufs("pipe2", { [0] = ("\0"):rep(8) }, 0, 0)
  t:assert_eq(rc, 0)
  local rd, wr = provium.unpack("u32 u32", fds)
  t:assert_eq(classic:syscall_buf("write", 1, "x", wr, 0, 1), 1)
  t:assert_eq(lab:syscall_async("read", { args = { rd, 0, 4 }, bufs = { "...." }, ptrs = { 1 } }):await(10).ret, 1)
  local out = classic:batch(function(q)
    q:syscall("getpid")
    q:syscall("close", rd)
    q:syscall("close", wr)
  end)
  t:assert_eq(out[1].ok, pid)
  t:assert_eq(out[3].ok, 0)
  local worker = classic:spawn()
  t:assert_neq(worker:syscall("getpid"), pid)
  t:assert_eq(worker:arch(), classic:run({ "uname", "-m" }).stdout:trim())
  worker:close()
end)

test("a name that no architecture has is refused with the nearest one, wherever it stands", function(t)
  for _, call in ipairs {
    function() classic:syscall("opennat") end,
    function() classic:syscall_buf("opennat", 0, "x") end,
    function() lab:syscall_async("opennat") end,
    function() lab:batch(function(q) q:syscall("opennat") end) end,
    function() lab:syscall_number("opennat") end,
    function() return provium.sys.opennat end,
  } do
    t:assert_contains(tostring(t:assert_raises(call)), 'unknown system call "opennat" (did you mean "openat"?)')
  end
  t:assert_contains(tostring(t:assert_raises(function() classic:syscall({}) end)), "integer expected, got table")
end)

test("provium.sys lists its names and cannot be assigned to", function(t)
  local count, has = 0, {}
  for name, value in pairs(provium.sys) do
    t:assert_eq(name, value)
    count, has[name] = count + 1, true
  end
  t:assert(count > 350 and has.openat and has.open and has.mseal)
  t:assert_raises(function() provium.sys.openat = 3 end)
end)
