-- What assertions accept, and what their errors say.

local function text_of(f, ...)
  local ok, text = pcall(f, ...)
  assert(not ok, "expected to raise")
  return text
end

test("assert_eq compares numbers across subtypes and handles by identity", function(t)
  t:assert_eq(1, 1.0)
  t:assert_eq("a", "a")
  t:assert_eq(nil, nil)
  t:assert_eq(0xffffffffffffffff, -1)
  local a = {}
  t:assert_eq(a, a)
  t:assert_neq(a, {})
  t:assert_neq(1, "1")
end)

test("global assert_eq compares plain tables by content", function()
  assert_eq({ 1, { a = "x" } }, { 1, { a = "x" } })
  assert(not pcall(assert_eq, { 1 }, { 1, 2 }))
  assert(not pcall(assert_eq, { a = 1 }, { b = 1 }))
  assert(not pcall(assert_eq, setmetatable({}, {}), {}))
end)

test("the text of a failed comparison shows both values and the line", function(t)
  local text = text_of(function() assert_eq({ 1, x = "y" }, "z", "label") end)
  t:assert_contains(text, 'label: assert_eq: {1, x = "y"} ~= "z"')
  t:assert_contains(text, "assertions.test.lua:" .. debug.getinfo(1, "l").currentline - 2 .. ":")
end)

test("assert_contains takes text literally", function(t)
  t:assert_contains("a%b.c", "%b.")
  t:assert_contains("\0\1\2", "\1")
  assert_contains(12345, 234)
  assert(not pcall(assert_contains, "abc", "."))
end)

test("assert is Lua's own", function(t)
  local a, b, c = assert(1, nil, 3)
  t:assert_eq(a, 1)
  t:assert_eq(b, nil)
  t:assert_eq(c, 3)
  t:assert_eq(text_of(assert, false), "assertion failed!")
  local object = {}
  t:assert_eq(text_of(assert, nil, object), object)
end)

test("assert_raises returns the error value", function(t)
  t:assert_eq(t:assert_raises(function() error("x", 0) end), "x")
  local value = t:assert_raises(function() error({ code = 3 }) end)
  t:assert_eq(value.code, 3)
  t:assert_raises(function() t:assert(false) end)
end)

test("errors of the host are strings with a position", function(t)
  local text = t:assert_raises(function() provium.create("no such profile") end)
  t:assert_eq(type(text), "string")
  t:assert_contains(text, "assertions.test.lua:")
  t:assert_contains(text, "no such profile")
end)

test("t knows its name and metadata", { spec = "4.2", tags = { "meta" } }, function(t)
  t:assert_eq(t.name, "t knows its name and metadata")
  t:assert_eq(t.meta.spec, "4.2")
  t:assert_eq(t.meta.tags[1], "meta")
end)

test("a test without metadata has an empty table", function(t)
  t:assert_eq(next(t.meta), nil)
end)
