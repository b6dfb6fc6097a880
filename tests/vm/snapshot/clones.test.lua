-- Many VMs from one snapshot.

test("eight clones of one snapshot run at once, independent, and share its memory", { timeout = "10m" }, function(t)
  local origin = provium:vm("origin", "default"):boot()
  origin:run("head -c 30000000 /dev/urandom > /tmp/shared; cat /tmp/shared | sha256sum > /tmp/sum"):assert_ok()
  local sum = origin:read_file("/tmp/sum")
  local snap = origin:snapshot()
  origin:shutdown()
  local clones = {}
  for i = 1, 8 do
    clones[i] = provium:vm("clone" .. i, "default")
    clones[i]:restore(snap)
  end
  for i, clone in ipairs(clones) do clone:write_file("/tmp/me", "clone " .. i) end
  for i, clone in ipairs(clones) do
    t:assert_eq(clone:read_file("/tmp/me"), "clone " .. i)
    t:assert_eq(clone:run("cat /tmp/shared | sha256sum").stdout, sum)
  end
  clones[3]:kill()
  snap:delete()
  t:assert_eq(clones[4]:read_file("/tmp/me"), "clone 4")
end)
