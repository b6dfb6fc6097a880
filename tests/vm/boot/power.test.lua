-- Ends that the guest itself brings about, and the power button. What is tagged `pc` speaks of devices and sizes of the
-- x86-64 guest.
test("a guest that powers itself off is dead, and the error says so", function(t)
  local g = provium:vm("off", "default"):boot()
  local err = t:assert_raises(function() g:run("poweroff -f; sleep 60") end)
  t:assert_contains(err, "powered itself off")
  t:assert_eq(g:state(), "dead")
end)

test("a guest that reboots by itself is dead, and the error names vm:reset", function(t)
  local g = provium:vm("again", "default"):boot()
  local err = t:assert_raises(function() g:run("reboot -f; sleep 60") end)
  t:assert_contains(err, "rebooted by itself")
  t:assert_eq(g:state(), "dead")
end)

test("after two resets a reboot from inside still ends the machine", function(t)
  local g = provium:vm("resets", "default"):boot()
  g:reset()
  g:reset()
  t:assert_contains(t:assert_raises(function() g:run("reboot -f; sleep 60") end), "rebooted by itself")
end)

test("the power button shuts the guest down through its init", { tags = "pc" }, function(t)
  local g = provium:vm("button", "default"):boot()
  wait_until(function()
    return g:run("ls -l /proc/$(pidof acpid)/fd | grep -q /dev/input/event"):ok()
  end, { timeout = "60s", desc = "acpid at the button" })
  g:power_button()
  t:assert_eq(g:state(), "shutdown")
end)

test("a kernel that cannot boot ends the boot with its own words instead of the deadline", { tags = "pc" }, function(t)
  local g = provium:vm("cramped", "default")
  -- What a kernel does that has too little memory differs by its version; that none lives without a root does not.
  t:assert_contains(
    t:assert_raises(function() g:boot { kernel_cmdline_append = "initcall_blacklist=populate_rootfs" } end),
    "vm `cramped` died during boot: the guest's kernel panicked: VFS: Unable to mount root fs")
  t:assert_contains(
    t:assert_raises(function() g:boot { memory = "24M" } end),
    "vm `cramped` died during boot: the guest restarted before its agent was up")
end)
