-- A machine that dies says so at once: the pending call fails within a second, with the reason, and the other
-- tests of the file go on.

local function elapsed(fn)
  local start = os.time()
  local ok, err = pcall(fn)
  return ok, tostring(err), os.time() - start
end

test("a kernel panic fails the pending call with the reason and the console", function(t)
  local g = provium:vm("panics", "default"):boot()
  local ok, err, seconds = elapsed(function()
    g:run("echo c > /proc/sysrq-trigger; sleep 60")
  end)
  t:assert(not ok, "the call came back")
  t:assert_contains(err, "panics")
  t:assert(err:find("panic"), err)
  t:assert(seconds < 30, "it took " .. seconds .. " s")
  t:assert_eq(g:state(), "dead")
end)

test("an agent killed in the guest fails the pending call", function(t)
  local g = provium:vm("agentless", "default"):boot()
  local ok, err, seconds = elapsed(function()
    g:run("kill -9 $(pidof provium-agent); sleep 60")
  end)
  t:assert(not ok, "the call came back")
  t:assert(err:find("agent"), err)
  t:assert(seconds < 30, "it took " .. seconds .. " s")
  t:assert_eq(g:state(), "dead")
end)

test("a dead machine boots again", function(t)
  local g = provium:vm("phoenix", "default"):boot()
  g:kill()
  t:assert_eq(g:state(), "dead")
  local err = t:assert_raises(function() g:run("true") end)
  t:assert_contains(tostring(err), "dead")
  g:boot()
  t:assert(g:run("true"):ok())
end)

test("the console excerpt of a panic names it", function(t)
  local g = provium:vm("last-words", "default"):boot()
  pcall(function() g:run("echo c > /proc/sysrq-trigger; sleep 60") end)
  t:assert_contains(g:console():read_log(), "sysrq")
end)
