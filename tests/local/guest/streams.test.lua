--!provium lab
-- Files and descriptors that are read as they grow.
local vm = provium:vm("g", "default"):boot()
local dir = vm:run("mktemp -d"):assert_ok().stdout:match("%S+")
local test = require("tests.shared.clean")(vm)
local PIPE2, WRITE, CLOSE = 293, 1, 3

local function append(path, text) vm:run({ "sh", "-c", 'printf %s "$1" >> "$2"', "sh", text, path }):assert_ok() end

test("what is appended comes by itself, from where the tail began", function(t)
  local path = dir .. "/a"
  vm:write_file(path, "old line\nlast\n")
  local tail = vm:tail_file(path)
  local all = vm:tail_file(path, { start = "beginning" })
  local few = vm:tail_file(path, { start = -5 })
  local some = vm:tail_file(path, { start = 4 })
  append(path, "new\n")
  t:assert_eq(tail:read_until("\n", 10), "new\n")
  t:assert_eq(few:read_until("new\n", 10), "last\nnew\n")
  t:assert_eq(all:read_until("new\n", 10), "old line\nlast\nnew\n")
  t:assert_eq(some:read_until("\n", 10), "line\n")
  t:assert_eq(tail:next(0), nil)
  t:assert(not tail:eof())
end)

test("a file that shrinks is read anew, one that is replaced is followed", function(t)
  local path = dir .. "/b"
  vm:write_file(path, "a long first content\n")
  local tail = vm:tail_file(path)
  vm:write_file(path, "short\n")
  tail:expect("short\n", 10)
  vm:write_file(path .. ".new", "rotated\n")
  vm:rename(path .. ".new", path)
  tail:expect("rotated\n", 10)
  append(path, "more\n")
  tail:expect("more\n", 10)
end)

test("an open file is followed from its cursor, which stays", function(t)
  local path = dir .. "/c"
  vm:write_file(path, "0123456789")
  local f = vm:open_file(path, { read = true })
  f:seek(4)
  local tail = f:tail_stream()
  t:assert_eq(tail:read_until("9", 10), "456789")
  append(path, "abc")
  t:assert_eq(tail:read_until("c", 10), "abc")
  t:assert_eq(f:tell(), 4)
end)

test("a pipe is streamed to its end", function(t)
  local r = vm:syscall(PIPE2, { args = { 0, 0 }, bufs = { ("\0"):rep(8) }, ptrs = { 0 } })
  local rd, wr = provium.unpack("u32 u32", r.out_bufs[1])
  local s = vm:fd_stream(rd)
  vm:syscall(WRITE, { args = { wr, 0, 5 }, bufs = { "hello" }, ptrs = { 1 } })
  t:assert_eq(s:read_until("llo", 10), "hello")
  vm:syscall(CLOSE, wr)
  t:assert_eq(s:next(10), nil)
  t:assert(s:eof())
  vm:syscall(CLOSE, rd)
end)

test("a file that is not there cannot be followed", function(t)
  t:assert_contains(t:assert_raises(function() vm:tail_file(dir .. "/none") end), "ENOENT")
end)

test("a machine without a console has none to read", function(t)
  local err = t:assert_raises(function() vm:console():read() end)
  t:assert_contains(err, "console:read: VMM does not expose a console socket")
end)
