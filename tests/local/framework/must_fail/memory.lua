--!provium lab
-- A test that takes all the memory it may have fails with its place, and the file goes on.

--> failed "grows without end": memory limit
test("grows without end", function()
  local all = {}
  for i = 1, math.huge do all[#all + 1] = ("x"):rep(1000) .. i end
end)

--> failed "grows a table without end": memory limit
test("grows a table without end", function()
  local all = {}
  for i = 1, math.huge do all[i] = { i } end
end)

--> failed "grows behind pcall": gave up
test("grows behind pcall", function()
  local ok, text = pcall(function()
    local s = "x"
    while true do s = s .. s end
  end)
  assert(not ok)
  assert(text:find("memory") or text:find("too large"), text)
  error("gave up")
end)

--> passed "the file goes on"
test("the file goes on", function(t) t:assert_eq(#("x"):rep(1000), 1000) end)
