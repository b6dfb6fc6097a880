-- Files of the host, through Lua's own io library.
local path = os.tmpname()

test("what is written is read back by every format", function(t)
  local f = assert(io.open(path, "w"))
  t:assert_eq(io.type(f), "file")
  t:assert_eq(f:write("first\n", 2, " 0x10 3.5\n", "last"), f)
  t:assert(f:close())
  t:assert_eq(io.type(f), "closed file")
  f = assert(io.open(path))
  t:assert_eq(f:read(), "first")
  local a, b, c = f:read("n", "n", "n")
  t:assert_eq(a, 2)
  t:assert_eq(b, 16)
  t:assert_eq(c, 3.5)
  t:assert_eq(f:read("L"), "\n")
  t:assert_eq(f:read(2), "la")
  t:assert_eq(f:read("a"), "st")
  t:assert_eq(f:read("a"), "")
  t:assert_eq(f:read("l"), nil)
  t:assert_eq(f:read(0), nil)
  f:close()
end)

test("a position can be moved, and reading after writing sees it", function(t)
  local f = assert(io.open(path, "w+"))
  f:write("0123456789")
  t:assert_eq(f:seek("set", 3), 3)
  t:assert_eq(f:read(2), "34")
  f:write("X")
  t:assert_eq(f:seek(), 6)
  t:assert_eq(f:seek("end", -2), 8)
  t:assert_eq(f:read("a"), "89")
  f:seek("set")
  t:assert_eq(f:read("a"), "01234X6789")
  f:close()
  f = assert(io.open(path, "a+"))
  f:write("+")
  f:seek("set")
  t:assert_eq(f:read("a"), "01234X6789+")
  f:close()
end)

test("lines go one by one, over long files too", function(t)
  local f = assert(io.open(path, "wb"))
  for i = 1, 20000 do f:write("line ", i, "\n") end
  f:close()
  local n = 0
  for line in io.lines(path) do
    n = n + 1
    if n == 15000 then t:assert_eq(line, "line 15000") end
  end
  t:assert_eq(n, 20000)
end)

test("a failure is nil, a message and a number", function(t)
  local f, message, errno = io.open("/no/such/file")
  t:assert_eq(f, nil)
  t:assert_eq(message, "/no/such/file: No such file or directory")
  t:assert_eq(errno, 2)
  t:assert_contains(t:assert_raises(function() assert(io.open("/no/such/file")) end), "No such file")
  t:assert_contains(t:assert_raises(function() io.lines("/no/such/file") end), "cannot open file '/no/such/file' (No such file or directory)")
  t:assert_contains(t:assert_raises(function() io.open(path, "rw") end), "invalid mode")
  local closed = io.open(path)
  closed:close()
  t:assert_contains(t:assert_raises(function() closed:read() end), "closed file")
end)

test("a <close> variable closes its file", function(t)
  local kept
  do
    local f <close> = assert(io.open(path))
    kept = f
  end
  t:assert_eq(io.type(kept), "closed file")
  local tmp <close> = io.tmpfile()
  tmp:write("x")
  tmp:seek("set")
  t:assert_eq(tmp:read("a"), "x")
  os.remove(path)
end)
