-- Several things at once in one test.

test("parallel runs its functions side by side", function(t)
  local order = {}
  local function worker(name)
    return function()
      for i = 1, 3 do
        order[#order + 1] = name .. i
        wait_until(function() return true end)
        provium:parallel(function() return 1 end)
      end
      return name
    end
  end
  local a, b = provium:parallel(worker("a"), worker("b"))
  t:assert_eq(a, "a")
  t:assert_eq(b, "b")
  t:assert_eq(#order, 6)
  t:assert_eq(order[1] .. order[2], "a1b1")
end)

test("the first error ends the others", function(t)
  local reached = false
  local text = t:assert_raises(function()
    provium:parallel(function() error("first") end, function()
      wait_until(function() return false end, { timeout = 30 })
      reached = true
    end)
  end)
  t:assert_contains(text, "first")
  t:assert(not reached)
end)

test("go starts a task to be waited for", function(t)
  local task = provium:go(function(x) return x + 1, "two" end, 41)
  local a, b = task:wait(10)
  t:assert_eq(a, 42)
  t:assert_eq(b, "two")
  t:assert(task:done())
end)

test("waiting for a task raises its error", function(t)
  local task = provium:go(function() error({ code = 9 }) end)
  local value = t:assert_raises(function() task:wait() end)
  t:assert_eq(value.code, 9)
end)

test("a cancelled task is done", function(t)
  local task = provium:go(function() wait_until(function() return false end, { timeout = 60 }) end)
  t:assert(not task:done())
  task:cancel()
  t:assert(task:done())
end)

test("a task goes on while the test waits where Lua cannot yield", function(t)
  local hits = 0
  provium:go(function() hits = hits + 1 end)
  local list = { 2, 1 }
  table.sort(list, function(a, b)
    wait_until(function() return hits > 0 end, { timeout = 10 })
    return a < b
  end)
  t:assert_eq(hits, 1)
  t:assert_eq(list[1], 1)
end)

test("a coroutine of the test's own works inside a task", function(t)
  local values = {}
  provium:parallel(function()
    local producer = coroutine.wrap(function()
      for i = 1, 3 do
        wait_until(function() return true end)
        coroutine.yield(i)
      end
    end)
    for value in producer do values[#values + 1] = value end
  end)
  t:assert_eq(#values, 3)
  t:assert_eq(values[3], 3)
end)
