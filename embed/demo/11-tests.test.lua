-- What tests themselves can do. No machine is needed for that, so this file boots none.

provium.timeout = "30s" -- for each test of this file; a test may say its own

local shapes = require("lib.shapes")

test("assertions fail with what they saw", function(t)
  t:assert_eq(shapes.area(3, 4), 12)
  t:assert_neq(1, 2)
  t:assert_contains("haystack with a needle", "needle")
  local message = t:assert_raises(function() shapes.area(-1, 1) end)
  t:assert_contains(message, "negative")
end)

test("metadata describes a test", { tags = { "quick", "docs" }, timeout = "5s", spec = "D-1" }, function(t)
  t:assert_eq(t.meta.spec, "D-1") -- provium --tag quick runs this one
end)

test("some machine is missing", { skip = "this laptop has no toaster" }, function() end)

test("a test finds out that it cannot run here", function(t)
  if not os.getenv("PROVIUM_DEMO_TOASTER") then t:skip("no toaster") end
end)

test("a long one", { slow = true }, function(t)
  t:assert(true) -- runs with --include-slow
end)

test("JSON keeps what JavaScript would lose", function(t)
  t:assert_eq(json.decode("[9223372036854775807]")[1], math.maxinteger)
  t:assert_eq(json.encode({ name = "x" }), '{"name":"x"}')
end)

test("a test has parts, and keeps what tells its story", function(t)
  for _, n in ipairs({ 2, 3 }) do
    t:subtest(n .. " squared", function(part) part:assert_eq(shapes.area(n, n), n * n) end)
  end
  t:ktap("ok 1 first\nok 2 second # SKIP not here") -- results of a kernel selftest become parts too
  t:attach("numbers.json", json.encode({ areas = { 4, 9 } })) -- provium --reporter html=report.html shows it
end)
