-- classic file, tests/ids.lua
local g = provium.create("minimal")
g:boot{ memory = "256M" }
test("kernel answers", function()
  local r = g:exec("uname -s")
  assert(r.ok and r.stdout.trim() == "Linux")
  assert_eq(g:syscall(39) > 0, true)     -- a plain integer
end)
g:shutdown()                             -- after the body has run
