--!provium classic
-- A failure stays inside its test; an error at the end adds an entry of the file's name.

--> failed "isolated": classic.lua:5: inside
test("isolated", function() error("inside") end)

--> passed "next"
test("next", function() end)

--> failed "classic": classic.lua:11: at the end
error("at the end")
