-- Machines whose runs repeat: the same instructions at the same moments of the guest's time, whatever the host does.
-- Only x86-64 machines do, hence the tag.

local LOUD = "panic=-1 ignore_loglevel printk.time=1"

-- One life of the VM: what its commands print, and then what its console has said.
local function life(g)
  g:boot()
  local said = {}
  for i = 1, 2 do
    said[#said + 1] = g:run("head -c 64 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid /proc/interrupts"):assert_ok().stdout
    said[#said + 1] = g:run("sleep 0.3; cat /proc/uptime; echo " .. i .. " > /dev/kmsg"):assert_ok().stdout
  end
  said[#said + 1] = g:run("mktemp /tmp/XXXXXX; date +%s"):assert_ok().stdout
  local console = g:console():read_log()
  g:shutdown()
  return table.concat(said), console
end

test("two runs print the same consoles, read the same random bytes and count the same interrupts", { tags = "pc", timeout = "900s" }, function(t)
  local g = provium:vm("g", "default", { deterministic = true, kernel_cmdline = LOUD, boot_timeout = "120s" })
  local said, console = life(g)
  t:assert_contains(console, "random: crng init done")
  t:assert_contains(said, "PCI-MSI")
  local again, console_again = life(g)
  t:assert_eq(again, said)
  t:assert_eq(console_again, console)
end)

test("another seed gives other random bytes", { tags = "pc", timeout = "900s" }, function(t)
  local g = provium:vm("h", "default", { deterministic = true, boot_timeout = "120s" })
  local function bytes(seed)
    g:boot{ rng_seed = seed }
    local read = g:run("head -c 32 /dev/urandom | od -An -tx1; date +%Y"):assert_ok().stdout
    g:kill()
    return read
  end
  local first = bytes(1)
  t:assert_contains(first, "2024")
  t:assert_neq(bytes(2), first)
end)

test("the guest's time stands still while the test does something else", { tags = "pc", timeout = "300s" }, function(t)
  local g = provium:vm("still", "default", { deterministic = true, initial_time = 1000000000.5, boot_timeout = "120s" }):boot()
  local function uptime()
    return tonumber(g:read_file("/proc/uptime"):match("^[%d.]+"))
  end
  local before = uptime()
  os.execute("sleep 3")
  t:assert(uptime() - before < 1.5, "the guest's clock ran while nobody waited for it")
  local began = g:clock():get() - uptime()
  t:assert(math.abs(began - 1000000000.5) < 0.2, "it began at " .. string.format("%.3f", began))
  t:assert_contains(g:run("ps"):assert_ok().stdout, "provium-mailbox")
  local err = tostring(t:assert_raises(function() g:console():write("x\n") end))
  t:assert_contains(err, "the console of a deterministic machine takes no input")
  err = tostring(t:assert_raises(function() g:snapshot() end))
  t:assert_contains(err, "is deterministic")
end)

test("a deterministic machine of several CPUs is refused", { tags = "pc" }, function(t)
  local g = provium:vm("many", "default", { deterministic = true, cpus = 2 })
  t:assert_contains(tostring(t:assert_raises(function() g:boot() end)), "a deterministic machine has one CPU, and 2 are asked for")
end)
