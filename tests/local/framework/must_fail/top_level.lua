--!provium lab
-- An error at the top level fails the file; tests declared before it are skipped.

--> skipped "declared before": the top level of the file failed
test("declared before", function() end)

--> error: top_level.lua:8: attempt to index a nil value (local 'nothing')
local nothing; nothing.here = 1
