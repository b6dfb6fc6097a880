--!provium classic
-- vm:exec, json, dmesg and wait_until as the classic API has them.
local g = provium.create("default"):boot()

test("a result has ok as a field and outputs that help", function()
  local r = g:exec("echo '  hello  '; echo oops >&2")
  assert(r.ok and r.exit_code == 0)
  assert_eq(type(r), "table")
  assert_eq(r.stdout.trim(), "hello")
  assert_eq(r.stdout:trim(), "hello")
  assert(r.stdout.contains("ell") and not r.stdout.contains("bye"))
  assert(r.stdout.starts_with("  he"))
  assert_eq(r.stderr.value, "oops\n")
  assert_contains(r.stdout, "hello")
end)

test("a failing command is a result, not an error", function()
  local r = g:exec("exit 7")
  assert(not r.ok)
  assert_eq(r.exit_code, 7)
  assert_eq(g:exec("kill -9 $$").exit_code, 137)
end)

test("assert_ok is there too", function()
  assert(g:exec("true"):assert_ok().ok)
  local ok, err = pcall(function() g:exec("echo why >&2; false"):assert_ok() end)
  assert(not ok and err:find("why", 1, true) and err:find("exited with 1", 1, true))
end)

test("options go as second argument", function()
  assert_eq(g:exec("cat; echo $X", { stdin = "in-", env = { X = "y" } }).stdout, "in-y\n")
end)

test("json decodes the output of a command", function()
  local v = g:json([[echo '{"big": 9007199254740993, "list": [1, 2.0], "none": null}']])
  assert_eq(v.big, 9007199254740993)
  assert_eq(math.type(v.list[2]), "float")
  assert_eq(v.none, nil)
end)

test("json raises for a command that fails and for what is no JSON", function()
  local ok, err = pcall(g.json, g, "echo no >&2; exit 4")
  assert(not ok and err:find("exited with 4", 1, true) and err:find("no", 1, true))
  local ok2, err2 = pcall(g.json, g, "echo '{oops'")
  assert(not ok2 and err2:find("at position 1", 1, true))
end)

test("wait_until polls until the callback is true", function()
  g:exec("rm -f /tmp/provium-ready-$PPID")
  local n = 0
  local answer = g:wait_until(function() n = n + 1 return n == 3 and "third" end, { timeout = 5, interval = 0.01, desc = "count" })
  assert_eq(answer, "third")
  local ok, err = pcall(g.wait_until, g, function() return false end, { timeout = 0.05, interval = 0.01, desc = "rain" })
  assert(not ok and err:find("wait_until: rain not met within 0.05s", 1, true), err)
end)

test("an error in the callback ends the wait", function()
  local ok, err = pcall(g.wait_until, g, function() error("mine") end, { timeout = 5 })
  assert(not ok and err:find("mine", 1, true))
end)

g:shutdown()
assert_eq(g:state(), "shutdown")
