-- Skips and parts: reported, never failing the file.

test("a body skips itself", function(t)
  t:skip("nothing to do here")
  error("unreached")
end)

test("metadata skips with a reason", { skip = "not on this host" }, function() error("unreached") end)
test("a zero skip runs", { skip = 0 }, function() end)
test("todo in a body skips it", function()
  todo("later")
  error("unreached")
end)

test("parts have results of their own", function(t)
  t:assert(t:subtest("first", function(part) part:assert_eq(part.name, "parts have results of their own/first") end))
  t:assert(t:subtest("skipped", function(part) part:skip("why not") end))
end)

test("lines of a kernel's own tests become parts", function(t)
  local counts = t:ktap([[
KTAP version 1
1..2
    KTAP version 1
    # Subtest: list
    1..2
    ok 1 list_add
    ok 2 list_del # SKIP no memory
ok 1 list
ok 2 - hash
]])
  t:assert_eq(counts.passed, 3)
  t:assert_eq(counts.skipped, 1)
  t:assert_eq(counts.failed, 0)
end)

test("bodies run after the top level, in order", function(t)
  t:assert(loaded)
  order = "first"
end)

test("globals of one body are seen by the next", function(t)
  t:assert_eq(order, "first")
end)

loaded = true
