-- lab file, tests/ids.test.lua
local g = provium:vm("g", "minimal"):boot()
test("kernel answers", { tags = "smoke" }, function(t)
  t:assert_eq(g:syscall("getpid").errno, 0)    -- a table
  t:assert(g:run("uname -s").stdout:find("Linux"))
end)
