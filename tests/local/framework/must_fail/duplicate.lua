--!provium lab
--> skipped "foo": the top level of the file failed
test("foo", function() end)
--> error: duplicate.lua:5: test: duplicate name `foo` in this file
test("foo", function() end)
