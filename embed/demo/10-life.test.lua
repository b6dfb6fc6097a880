-- The life of a machine. Whatever happens to it, a call that waits on it ends with the reason.

local guest = provium:vm("guest", "default"):boot()

test("a machine can be paused", function(t)
  guest:pause()
  local message = t:assert_raises(function() guest:run("true") end)
  t:assert_contains(message, "vm `guest` is paused; run needs booted")
  guest:resume()
  t:assert(guest:run("true"):ok())
end)

test("a kernel panic is an error, told at once, with the console", function(t)
  local message = t:assert_raises(function()
    guest:run("echo c > /proc/sysrq-trigger; sleep 1000")
  end)
  t:assert_contains(message, "vm `guest` died")
  t:assert_contains(guest:console():read_log(), "Kernel panic")
  t:assert_eq(guest:state(), "dead")
end)

test("the power can go and come back", function(t)
  guest:boot()
  guest:kill()
  t:assert_eq(guest:boot():run("echo alive").stdout, "alive\n")
end)
