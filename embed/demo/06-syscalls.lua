-- Raw system calls, all on one task of the guest: what one call changes (credentials, descriptors, directories)
-- holds for the next, and for commands. A call is named, or given as a number, which differs from architecture to
-- architecture. Classic handles return the kernel's integer.

local vm = provium.create("default"):boot()

test("a call with integers", function()
  assert(vm:syscall("getpid") > 1)
  assert_eq(vm:syscall("close", 9999), -9) -- -EBADF
end)

test("buffers go in and come back", function()
  -- pipe2(2): slot 0 is a pointer to two 32-bit descriptors
  local rc, fds = vm:syscall_bufs("pipe2", { [0] = provium.pack("u32 u32", 0, 0) }, 0, 0)
  assert_eq(rc, 0)
  local reader, writer = provium.unpack("u32 u32", fds)
  assert_eq(vm:syscall_buf("write", 1, "ping", writer, 0, 4), 4)
  local n, data = vm:syscall_bufs("read", { [1] = ("\0"):rep(16) }, reader, 0, 16)
  assert_eq(data:sub(1, n), "ping")

  -- FIONREAD: how many bytes wait in the pipe?
  vm:syscall_buf("write", 1, "again", writer, 0, 5)
  local _, out = vm:ioctl(reader, 0x541B, provium.pack("u32", 0))
  assert_eq(provium.unpack("u32", out), 5)
end)

test("the lab view of the same machine returns tables", function()
  local lab = vm:as("lab")
  local bad = lab:syscall("close", 9999)
  assert_eq(bad.ret, -1)
  assert_eq(bad.errno, 9)
  -- getcwd(2): the kernel writes into the buffer in slot 0
  local cwd = lab:syscall("getcwd", { args = { 0, 64 }, bufs = { ("\0"):rep(64) }, ptrs = { 0 } })
  assert_eq(cwd.out_bufs[1]:match("^[^\0]+"), "/")
end)

test("credentials last from call to call, and commands inherit them", function()
  assert_eq(vm:syscall("setresuid", 1000, 1000, 0), 0) -- the saved id is the way back
  assert_eq(vm:syscall("getuid"), 1000)
  assert_eq(vm:exec("id -u").stdout.trim(), "1000")
  assert_eq(vm:exec("touch /etc/passwd").ok, false)
  assert_eq(vm:syscall("setresuid", 0, 0, 0), 0)
  assert_eq(vm:exec("id -u").stdout.trim(), "0")
end)

test("names are checked, and numbers are there for who needs them", function()
  assert_eq(vm:syscall(provium.sys.getpid), vm:syscall("getpid"))
  assert_contains(select(2, pcall(function() return provium.sys.opennat end)), 'did you mean "openat"?')
  assert_eq(vm:syscall_number("getpid"), vm:arch() == "aarch64" and 172 or 39)
end)
