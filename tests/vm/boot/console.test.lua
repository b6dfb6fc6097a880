-- What the two consoles of a machine say ends up in one log; what is written goes to /dev/console.
local g = provium:vm("g", "default"):boot()
local console = g:console()
local serial = g:arch() == "aarch64" and "/dev/ttyAMA0" or "/dev/ttyS0"

test("both consoles are in the log, each line whole", function(t)
  g:run("SERIAL=" .. serial .. [[

    for i in $(seq 1 40); do echo "serial line $i of many" > $SERIAL; done &
    for i in $(seq 1 40); do echo "hypervisor line $i of many" > /dev/hvc0; done
    wait
  ]])
  console:expect("serial line 40 of many")
  console:expect("hypervisor line 40 of many")
  local log = console:read_log()
  for i = 1, 40 do
    t:assert_contains(log, "serial line " .. i .. " of many")
    t:assert_contains(log, "hypervisor line " .. i .. " of many")
  end
end)

test("the kernel's own messages reach the log", function(t)
  g:run("echo '<1>provium: a message of the kernel' > /dev/kmsg")
  t:assert_contains(console:expect("provium: a message of the kernel"), "provium")
end)

test("what is written to the console is read by the shell on it", function(t)
  console:expect("press Enter")
  console:write("\n")
  console:write("echo answer $((6 * 7))\n")
  console:expect("answer 42")
end)

test("a console that says nothing of the kind ends with the pattern and the time", function(t)
  local err = t:assert_raises(function() console:expect("never said", "300ms") end)
  t:assert_contains(err, "never said")
end)

test("the log survives the machine", function(t)
  g:run("echo last words > " .. serial)
  console:expect("last words")
  g:shutdown()
  t:assert_contains(console:read_log(), "last words")
end)
