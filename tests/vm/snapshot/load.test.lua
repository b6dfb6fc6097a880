-- Snapshots and restores of a guest that is busy.

test("a guest under load is saved and goes on, and no byte of what it wrote is wrong", { timeout = "10m" }, function(t)
  local vm = provium:vm("busy", "default", { cpus = 2 }):boot()
  vm:write_file("/tmp/load.sh", [[
    cd /tmp
    while :; do
      dd if=/dev/urandom of=block bs=64k count=16 2>/dev/null
      sha256sum block > block.sum
      sha256sum -c block.sum > /dev/null 2>&1 || echo bad >> failures
      echo x >> rounds
    done
  ]])
  local spin = vm:run_async("while :; do :; done")
  local load = vm:run_async("sh /tmp/load.sh")
  local function rounds() return vm:run("wc -l < /tmp/rounds || echo 0").stdout + 0 end
  wait_until(function() return vm:run("test -s /tmp/rounds"):ok() end, { timeout = "60s" })
  for _ = 1, 5 do
    local before = rounds()
    local snap = vm:snapshot()
    vm:kill()
    vm:restore(snap)
    snap:delete()
    wait_until(function() return rounds() > before + 1 end, { timeout = "120s" })
  end
  t:assert(not vm:run("test -e /tmp/failures"):ok(), "a block was damaged")
  t:assert(spin:status().running and load:status().running)
end)

test("commands that run while a snapshot is taken come to their end", { timeout = "5m" }, function(t)
  local vm = provium:vm("asked", "default"):boot()
  local commands = {}
  for i = 1, 4 do commands[i] = vm:run_async("sleep 1; echo " .. i) end
  local snap = vm:snapshot()
  for i, command in ipairs(commands) do t:assert_eq(command:wait("60s").stdout, i .. "\n") end
  vm:kill()
  vm:restore(snap)
  for i, command in ipairs(commands) do t:assert_eq(command:wait("60s").stdout, i .. "\n") end
end)
