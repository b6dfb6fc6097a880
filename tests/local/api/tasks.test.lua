-- Calls that go on side by side.
local a = provium:vm("a", "default")
local b = provium:vm("b", "default")
provium:boot()

test("parallel gives the first result of each function", function(t)
  local x, y = provium:parallel(
    function() return a:run("echo a").stdout end,
    function() return b:run("echo b").stdout end
  )
  t:assert_eq(x .. y, "a\nb\n")
end)

test("blocking calls of tasks really overlap", function(t)
  -- Each side waits for a file that only the other one makes.
  local dir = a:run("mktemp -d").stdout:match("%S+")
  local meet = function(vm, mine, theirs)
    return function()
      vm:write_file(dir .. "/" .. mine, "")
      return vm:run("while [ ! -e " .. dir .. "/" .. theirs .. " ]; do sleep 0.01; done", { timeout = 20 }):ok()
    end
  end
  local x, y = provium:parallel(meet(a, "x", "y"), meet(a, "y", "x"))
  t:assert(x and y)
  a:run({ "rm", "-r", dir })
end)

test("the first error ends the others and is raised", function(t)
  local err = t:assert_raises(function()
    provium:parallel(function() a:run("sleep 1000") end, function() error("mine") end)
  end)
  t:assert_contains(err, "mine")
  t:assert(a:run("true"):ok())
end)

test("a task is waited for, and tells when it is done", function(t)
  local task = provium:go(function(n) return a:run("exit " .. n).exit_code end, 3)
  t:assert_eq(task:wait(), 3)
  t:assert(task:done())
end)
