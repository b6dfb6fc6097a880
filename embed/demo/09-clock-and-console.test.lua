-- Time moves as the test says; the console shows what the kernel and the init show.

local guest = provium:vm("guest", "default"):boot()

test("a day passes in no time", function(t)
  local clock = guest:clock()
  local before = clock:get_ns()
  clock:advance("24h")
  t:assert(clock:get_ns() - before >= 24 * 3600 * 1000000000)
  clock:set(1234567890)
  t:assert_eq(guest:run("date -u +%Y-%m-%d").stdout:trim(), "2009-02-13")
end)

test("the console is read and typed into", function(t)
  local console = guest:console()
  console:write("\n") -- the shell asks for Enter
  console:expect("built-in shell")
  console:write("echo $((6 * 7)) is the answer\n")
  console:expect("42 is the answer")
  t:assert_contains(console:read_log(), "42 is the answer")
end)
