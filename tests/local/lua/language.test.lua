-- The language of Lua 5.4: attributes, to-be-closed variables, goto, messages.

local function closer(log, name)
  return setmetatable({}, { __close = function(_, e) log[#log + 1] = name .. ":" .. tostring(e) end })
end

test("const variables cannot be assigned", function(t)
  local f, message = load("local x <const> = 1; x = 2")
  t:assert_eq(f, nil)
  t:assert_contains(message, "attempt to assign to const variable 'x'")
end)

test("to-be-closed variables close in reverse order, also on errors", function(t)
  local log = {}
  do
    local a <close> = closer(log, "a")
    local b <close> = closer(log, "b")
  end
  pcall(function()
    local c <close> = closer(log, "c")
    error("boom", 0)
  end)
  t:assert_eq(table.concat(log, " "), "b:nil a:nil c:boom")
end)

test("a generic for closes its fourth value at its end, at break and at an error", function(t)
  local log = {}
  local function once(_, c)
    if not c then return 1 end
  end
  for _ in once, nil, nil, closer(log, "end") do end
  for _ in once, nil, nil, closer(log, "break") do break end
  pcall(function()
    for _ in once, nil, nil, closer(log, "error") do error("x", 0) end
  end)
  t:assert_eq(table.concat(log, " "), "end:nil break:nil error:x")
end)

test("coroutine.close runs what is pending and reports its error", function(t)
  local log = {}
  local co = coroutine.create(function()
    local a <close> = closer(log, "co")
    coroutine.yield()
  end)
  coroutine.resume(co)
  t:assert_eq(coroutine.close(co), true)
  t:assert_eq(coroutine.status(co), "dead")
  t:assert_eq(log[1], "co:nil")
end)

test("goto continues loops", function(t)
  local s = 0
  for i = 1, 10 do
    if i % 2 == 0 then goto continue end
    s = s + i
    ::continue::
  end
  t:assert_eq(s, 25)
end)

test("arithmetic on strings goes through their metamethods", function(t)
  t:assert_eq("10" + 1, 11)
  t:assert_eq("0x10" * 2, 32)
  t:assert_eq(math.type("10" // "3"), "integer")
  t:assert_raises(function() return "a" + 1 end)
end)

test("messages name the variable", function(t)
  local function message(code) return select(2, pcall(load(code))) end
  t:assert_contains(message("local a; a.b = 1"), "attempt to index a nil value (local 'a')")
  t:assert_contains(message("return nowhere()"), "attempt to call a nil value (global 'nowhere')")
  t:assert_contains(message("local t = {}; t.x.y = 1"), "attempt to index a nil value (field 'x')")
  t:assert_contains(message("local t = {}; t:go()"), "attempt to call a nil value (method 'go')")
  t:assert_contains(message("return 1 < 'x'"), "attempt to compare number with string")
  t:assert_contains(message("return 2^53 | 1.5"), "number has no integer representation")
end)
