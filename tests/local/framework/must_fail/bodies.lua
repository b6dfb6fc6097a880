--!provium lab
-- Every test here must end as its comment says. Checked by tests/unit/runner.

--> failed "plain error": bodies.lua:5: broken
test("plain error", function() error("broken") end)

--> failed "sticky": assertion failed: 1 ~= 2
test("sticky", function(t) pcall(function() t:assert_eq(1, 2) end) end)

--> failed "sticky beats a skip": why
test("sticky beats a skip", function(t)
  pcall(function() t:assert(false, "why") end)
  t:skip("too late")
end)

--> failed "error object": (error object is a table: {code = 5})
test("error object", function() error({ code = 5 }) end)

--> failed "endless loop": the test's deadline of 100 ms has passed
test("endless loop", { timeout = "100ms" }, function() while true do end end)

--> failed "endless loop behind pcall": the test's deadline of 100 ms has passed
test("endless loop behind pcall", { timeout = 0.1 }, function()
  while true do
    pcall(function() while true do end end)
  end
end)

--> failed "endless loop in a coroutine": the test's deadline of 100 ms has passed
test("endless loop in a coroutine", { timeout = 0.1 }, function()
  coroutine.wrap(function() while true do end end)()
end)

--> failed "bad timeout": bad timeout string
test("bad timeout", { timeout = "soon" }, function() end)

--> failed "deep recursion": stack overflow
test("deep recursion", function()
  local function down(n) return 1 + down(n + 1) end
  down(1)
end)

--> failed "error while closing": from close
test("error while closing", function()
  local guard <close> = setmetatable({}, { __close = function() error("from close") end })
end)

--> passed "the file goes on"
test("the file goes on", function(t) t:assert(true) end)
