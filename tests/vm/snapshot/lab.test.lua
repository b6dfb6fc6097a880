-- Snapshots of labs: several VMs at one moment.

local lab = provium:lab("trio")
for _, name in ipairs { "a", "b", "c" } do lab:vm(name, "default") end
lab:boot()

test("three VMs come back together, each as it was", { timeout = "5m" }, function(t)
  for _, name in ipairs(lab:vm_names()) do lab[name]:write_file("/tmp/me", name) end
  local proc = lab.b:run_async("read x; echo $x")
  local snap = lab:snapshot()
  t:assert(snap:size() > 3 * 1024 * 1024)
  for _, name in ipairs(lab:vm_names()) do lab[name]:write_file("/tmp/me", "later") end
  lab.a:shutdown()
  lab.b:pause()
  -- What still runs is ended by the restore.
  t:assert_eq(lab:restore(snap), lab)
  for _, name in ipairs(lab:vm_names()) do
    t:assert_eq(lab[name]:state(), "booted")
    t:assert_eq(lab[name]:read_file("/tmp/me"), name)
  end
  proc:stdin_write("still there\n")
  t:assert_eq(proc:wait("30s").stdout, "still there\n")
  snap:delete()
  t:assert_eq(snap:size(), 0)
end)

test("a snapshot in a directory is its path, and another lab goes on from it", { timeout = "5m" }, function(t)
  local directory = lab:snapshot():path() .. "-copy"
  lab.a:write_file("/tmp/me", "original")
  t:assert_eq(lab:snapshot(directory), directory)
  local index = io.open(directory .. "/lab.json"):read("a")
  t:assert_contains(index, '"name": "c"')
  local other = provium:lab("other")
  other:restore(directory)
  t:assert_eq(#other:vm_names(), 3)
  t:assert_eq(other.a:read_file("/tmp/me"), "original")
  other.a:write_file("/tmp/me", "copy")
  t:assert_eq(lab.a:read_file("/tmp/me"), "original")
  other:shutdown()
end)

test("every VM of the lab must run, and open streams of each are named", function(t)
  lab.c:pause()
  t:assert_contains(t:assert_raises(function() lab:snapshot() end), "vm `c` is paused; snapshot needs booted")
  lab.c:resume()
  lab.a:write_file("/tmp/log", "x")
  local tail = lab.a:tail_file("/tmp/log")
  local err = t:assert_raises(function() lab:snapshot() end)
  t:assert_contains(err, "lab:snapshot() refused")
  t:assert_contains(err, 'tail_file("/tmp/log")')
  tail:close()
  t:assert_contains(t:assert_raises(function() provium:lab("none"):snapshot() end), "lab `none` has no VMs to save")
  for _, name in ipairs(lab:vm_names()) do t:assert(lab[name]:run("true"):ok()) end
end)

test("a lab of which one part is damaged is not restored in part", function(t)
  local directory = lab:snapshot():path() .. "-copy"
  lab:snapshot(directory)
  os.remove(directory .. "/b.snap/devices")
  local other = provium:lab("damaged")
  t:assert_contains(t:assert_raises(function() other:restore(directory) end), "b.snap/devices")
  for _, name in ipairs { "a", "b", "c" } do
    t:assert(not other[name] or other[name]:state() ~= "booted", name .. " runs")
  end
  t:assert_contains(t:assert_raises(function() other:restore("/nowhere/at/all") end), "there is no snapshot in")
  t:assert_contains(t:assert_raises(function() lab:restore({}) end), "snapshot or path")
end)
