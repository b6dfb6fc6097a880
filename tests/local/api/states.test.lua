-- The life of a VM and what each state allows.
test("a vm goes from created to booted to shutdown, and boots again", function(t)
  local g = provium:vm("g", "default")
  t:assert_eq(g:state(), "created")
  t:assert_eq(g:boot(), g)
  t:assert_eq(g:state(), "booted")
  g:shutdown()
  g:shutdown()
  t:assert_eq(g:state(), "shutdown")
  g:boot()
  t:assert(g:run("true"):ok())
end)

test("a call in the wrong state names vm, state and need", function(t)
  local g = provium:vm("a", "default")
  t:assert_contains(t:assert_raises(function() g:run("true") end), "vm `a` is created; run needs booted")
  g:boot()
  t:assert_contains(t:assert_raises(function() g:boot() end), "vm `a` is booted; boot needs created, shutdown or dead")
  t:assert_contains(t:assert_raises(function() g:resume() end), "vm `a` is booted; resume needs paused")
  g:pause()
  t:assert_eq(g:state(), "paused")
  t:assert_contains(t:assert_raises(function() g:exec("true") end), "vm `a` is paused; exec needs booted")
  g:resume()
  t:assert(g:run("true"):ok())
  g:shutdown()
  t:assert_contains(t:assert_raises(function() g:run("true") end), "vm `a` is shutdown; run needs booted")
end)

test("kill leaves a dead vm, which may boot again", function(t)
  local g = provium:vm("g", "default"):boot()
  g:kill()
  g:kill()
  t:assert_eq(g:state(), "dead")
  t:assert_contains(t:assert_raises(function() g:run("true") end), "vm `g` is dead; run needs booted")
  t:assert(g:boot():run("true"):ok())
end)

test("reset gives a fresh agent", function(t)
  local g = provium:vm("g", "default"):boot()
  local before = g:syscall(39).ret
  g:reset()
  t:assert_eq(g:state(), "booted")
  t:assert(g:syscall(39).ret ~= before)
end)

test("an agent that is killed fails the pending call and makes the vm dead", function(t)
  local g = provium:vm("g", "default"):boot()
  -- The I/O process is the parent of the command.
  local err = t:assert_raises(function() g:run("kill -9 $PPID; sleep 1000") end)
  t:assert_contains(err, "vm `g` died during run")
  t:assert_eq(g:state(), "dead")
  t:assert_contains(t:assert_raises(function() g:run("true") end), "vm `g` is dead")
  t:assert(g:boot():run("true"):ok())
end)

test("close is what the end of a scope does", function(t)
  local g = provium:vm("g", "default"):boot()
  g:close()
  g:close()
  t:assert_eq(g:state(), "shutdown")
  local c = provium.create("default"):boot()
  c:close()
  t:assert_eq(c:state(), "dead")
end)

test("a vm tells its name, profile and itself", function(t)
  local g = provium:vm("web", "default")
  t:assert_eq(g:name(), "web")
  t:assert_eq(g:profile(), "default")
  t:assert_eq(tostring(g), "vm `web` (created)")
  t:assert_eq(provium.create("default"):name():match("^default%-%d+$") ~= nil, true)
end)

test("two handles of one vm are equal", function(t)
  local g = provium:vm("g", "default")
  t:assert(g == g:as("classic") and g:as("classic") == provium.g)
  t:assert(g ~= provium:vm("h", "default"))
  t:assert_eq(g:as("classic"):as("lab"), g)
end)

test("boot options are checked before anything starts", function(t)
  local g = provium:vm("g", "default")
  local cases = {
    { { memroy = "1G" }, 'unknown key `memroy` (did you mean "memory"?)' },
    { { memory = {} }, "boot: opts.memory must be a size" },
    { { memory = "lots" }, 'got string "lots"' },
    { { memory = 512 }, "at least 16M" },
    { { cpus = 0 }, "boot: opts.cpus must be an integer from 1 to 255, got number 0" },
    { { cpus = 1.5 }, "got number 1.5" },
    { { boot_timeout = "soon" }, 'bad timeout string "soon"' },
    { { files = "x" }, "boot: opts.files must be a table of files" },
    { { files = { x = "y" } }, "absolute guest path" },
    { { files = { { path = "/x", content = "a", mode = "999" } } }, "permission bits" },
    { { disks = { { format = "raw" } } }, "needs a path" },
    { { disks = { { path = "x", format = "vdi" } } }, 'must be "raw" or "qcow2", got string "vdi"' },
    { { initial_time = 0 / 0 }, "finite number of seconds" },
  }
  for _, case in ipairs(cases) do
    t:assert_contains(t:assert_raises(function() g:boot(case[1]) end), case[2])
  end
  t:assert_contains(t:assert_raises(function() g:boot("fast") end), "boot: opts: table expected, got string")
  t:assert_eq(g:state(), "created")
end)
