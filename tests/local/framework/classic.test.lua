--!provium classic
-- The classic dialect: bodies run at once, names may repeat, and Lua 5.1's names are there.

local ran = {}
test("runs at once", function() ran[#ran + 1] = "a" end)
assert_eq(ran, { "a" })
test("runs at once", function(t) assert_eq(t.name, "runs at once #2") end)
test("todo skips the running test", function()
  todo("someday")
  error("unreached")
end)
test("names of Lua 5.1", function()
  assert_eq({ unpack({ 1, 2, 3 }) }, { 1, 2, 3 })
  assert_eq(loadstring("return 7")(), 7)
  assert_eq(table.getn({ 1, 2 }), 2)
end)
test("output strings know the classic methods", function()
  local s = "  hello  "
  assert_eq(s.trim(), "hello")
  assert(s.contains("ell") and s:contains("ell"))
  assert_eq(s.value, s)
end)
