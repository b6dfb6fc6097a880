-- What cannot be saved or restored, and how it is told.

local vm = provium:vm("strict", "default"):boot()
local snap = vm:snapshot()

test("a snapshot names every open stream with the line that opened it", function(t)
  vm:write_file("/tmp/log", "x\n")
  local tail = vm:tail_file("/tmp/log")
  local proc = vm:run_async("sleep 1000")
  local out = proc:stdout_stream()
  local err = t:assert_raises(function() vm:snapshot() end)
  t:assert_contains(err, "vm:snapshot() refused")
  t:assert_contains(err, 'tail_file("/tmp/log") at ')
  t:assert_contains(err, "proc_stdout_stream(handle=")
  t:assert_contains(err, "refused.test.lua:8")
  t:assert_contains(err, "refused.test.lua:10")
  t:assert_contains(err, "Close the streams before snapshotting")
  tail:close()
  out:close()
  proc:kill()
  vm:snapshot():delete()
end)

test("a snapshot needs a VM that runs", function(t)
  local idle = provium:vm("idle", "default")
  t:assert_contains(t:assert_raises(function() idle:snapshot() end), "vm `idle` is created; snapshot needs booted")
  vm:pause()
  t:assert_contains(t:assert_raises(function() vm:snapshot() end), "vm `strict` is paused; snapshot needs booted")
  vm:resume()
end)

test("a VM that runs is not restored over", function(t)
  t:assert_contains(t:assert_raises(function() vm:restore(snap) end),
    "vm `strict` is booted; restore needs created, shutdown or dead")
end)

test("another memory size or number of CPUs is told by name", function(t)
  local big = provium:vm("big", "default", { memory = "1G" })
  t:assert_contains(t:assert_raises(function() big:restore(snap) end), "vm `big` is declared with 1024 MiB")
  local wide = provium:vm("wide", "default", { cpus = 2 })
  t:assert_contains(t:assert_raises(function() wide:restore(snap) end), "has CPUs: 1, and vm `wide` is declared with 2")
end)

test("what is no snapshot is told with its path", function(t)
  local other = provium:vm("other", "default")
  t:assert_contains(t:assert_raises(function() other:restore("/nowhere/at/all") end),
    "there is no snapshot in /nowhere/at/all")
  t:assert_contains(t:assert_raises(function() other:restore({}) end), "snapshot or path")
  t:assert_contains(t:assert_raises(function() other:restore() end), "snapshot or path")
end)

-- Changes a file of the snapshot, has a VM try to go on from it, and puts the file back.
local function damaged(name, change)
  local path = snap:path() .. "/" .. name
  local file <close> = assert(io.open(path, "r+b"))
  local place, old = change(file, path)
  file:flush()
  local victim = provium.victim or provium:vm("victim", "default")
  local ok, err = pcall(victim.restore, victim, snap:path())
  if place then
    file:seek("set", place)
    file:write(old)
  else
    os.rename(path .. ".away", path)
  end
  assert(not ok, "it was restored all the same")
  assert_eq(victim:state(), "created")
  return tostring(err)
end

local function away(_, path) os.rename(path, path .. ".away") end

local function altered(at)
  return function(file)
    file:seek("set", at)
    local old = file:read(1)
    file:seek("set", at)
    file:write(string.char(old:byte() ~ 0xff))
    return at, old
  end
end

local function replaced(with)
  return function(file, path)
    os.rename(path, path .. ".away")
    local new <close> = assert(io.open(path, "wb"))
    new:write(with(file))
  end
end

test("a missing, shortened or altered file is found before the guest runs", function(t)
  t:assert_contains(damaged("ram", away), "ram cannot be read")
  t:assert_contains(damaged("ram", replaced(function() return "short" end)), "was cut off or altered: it has 5 bytes")
  t:assert_contains(damaged("ram", altered(1048576)), "its checksum does not fit")
  t:assert_contains(damaged("devices", altered(100)), "its checksum does not fit")
  t:assert_contains(damaged("devices", replaced(function(f) return f:read("a"):sub(1, -2) end)), "was cut off or altered")
  t:assert_contains(damaged("firmware", away), "firmware cannot be read")
  t:assert_contains(damaged("manifest.json", away), "there is no snapshot in")
  t:assert_contains(damaged("manifest.json", replaced(function(f) return f:read(200) end)), "was cut off or altered")
  t:assert_contains(damaged("manifest.json", replaced(function(f) return (f:read("a"):gsub("strict", "loose!")) end)),
    "was cut off or altered")
  t:assert_contains(damaged("manifest.json", replaced(function() return "{}" end)), "is no manifest of a snapshot")
  t:assert_contains(damaged("manifest.json", replaced(function(f) return (f:read("a"):gsub('_snapshot": 1', '_snapshot": 99')) end)),
    "has format 99")
  provium:vm("healed", "default"):restore(snap:path())
end)

test("nothing is left of a snapshot that could not be written", function(t)
  t:assert_contains(t:assert_raises(function() vm:snapshot("/proc/nowhere/x") end), "no snapshot can be written to")
  local taken = os.tmpname()
  t:assert_contains(t:assert_raises(function() vm:snapshot(taken) end), "no snapshot can be written to")
  os.remove(taken)
  t:assert(vm:run("true"):ok())
end)
