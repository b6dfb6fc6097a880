--!provium lab
--> error: syntax.lua:4: unexpected symbol near '='
test("never", function() end)
local x = = 1
