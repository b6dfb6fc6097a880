-- Several machines in one test: they boot side by side, and calls to them can go on side by side too.

local left = provium:vm("left", "default")
local right = provium:vm("right", "default")
provium:boot()

test("each machine is one of its own", function(t)
  left:write_file("/tmp/who", "left")
  right:write_file("/tmp/who", "right")
  t:assert_eq(left:read_file("/tmp/who"), "left")
  t:assert_eq(right:read_file("/tmp/who"), "right")
end)

test("calls run in parallel", function(t)
  local a, b = provium:parallel(
    function() return left:run("sleep 0.3; echo l").stdout end,
    function() return right:run("sleep 0.3; echo r").stdout end
  )
  t:assert_eq(a .. b, "l\nr\n")
end)

test("a task runs beside the test", function(t)
  local waiter = provium:go(function()
    return left:run("while [ ! -e /tmp/go ]; do sleep 0.05; done; echo gone", { timeout = 20 }).stdout
  end)
  t:assert(not waiter:done())
  left:write_file("/tmp/go", "")
  t:assert_eq(waiter:wait(), "gone\n")
end)

test("a lab groups machines under names of its own", function(t)
  local site = provium:lab("site")
  site:include({ left, right })
  t:assert_eq(table.concat(site:vm_names(), " "), "left right")
  t:assert_eq(site.left, left)
  site:pause()
  t:assert_eq(right:state(), "paused")
  site:resume()
end)
