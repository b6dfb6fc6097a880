-- require finds helper modules below the roots.

local arithmetic = require("helpers.arithmetic")

test("a module is loaded once", function(t)
  t:assert_eq(arithmetic.double(21), 42)
  t:assert_eq(require("helpers.arithmetic"), arithmetic)
end)

test("an error inside a module names the module's file", function(t)
  local text = t:assert_raises(function() arithmetic.fail() end)
  t:assert_contains(text, "helpers/arithmetic.lua:")
end)

test("a missing module says where it was looked for", function(t)
  local text = t:assert_raises(function() require("helpers.absent") end)
  t:assert_contains(text, "module 'helpers.absent' not found")
  t:assert_contains(text, "helpers/absent.lua")
end)
