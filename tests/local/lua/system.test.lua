-- io, os and load on the host.

test("files are written, read by line, number and block, and sought", function(t)
  local name = os.tmpname()
  local f <close> = assert(io.open(name, "w+"))
  f:write("one\n", 2, " 0x10 3.5\nrest")
  f:seek("set")
  t:assert_eq(f:read("l"), "one")
  local a, b, c = f:read("n", "n", "n")
  t:assert_eq(a, 2)
  t:assert_eq(b, 16)
  t:assert_eq(c, 3.5)
  t:assert_eq(f:read("L"), "\n")
  t:assert_eq(f:read(2), "re")
  t:assert_eq(f:read("a"), "st")
  t:assert_eq(f:read("l"), nil)
  f:close()
  local lines = {}
  for line in io.lines(name) do lines[#lines + 1] = line end
  t:assert_eq(#lines, 3)
  t:assert_eq(os.remove(name), true)
  local gone, message, code = io.open(name)
  t:assert_eq(gone, nil)
  t:assert_contains(message, "No such file or directory")
  t:assert_eq(code, 2)
end)

test("dates go to tables and back", function(t)
  local now = os.time()
  t:assert_eq(os.time(os.date("*t", now)), now)
  t:assert_eq(os.date("!%Y-%m-%d %H:%M:%S", 86399), "1970-01-01 23:59:59")
  t:assert_raises(function() os.date("%Q") end)
end)

test("load runs in the environment that it is given", function(t)
  local env = {}
  load("x = 1", "chunk", "t", env)()
  t:assert_eq(env.x, 1)
  t:assert_eq(load("return 1", "b", "b"), nil)
  t:assert_contains(select(2, load("x =", "=chunk")), "chunk:1: unexpected symbol near <eof>")
end)

test("a traceback names functions and lines", function(t)
  local function inner() return debug.traceback("here") end
  local text = (inner())
  t:assert_contains(text, "here\nstack traceback:")
  t:assert_contains(text, "inner")
end)
