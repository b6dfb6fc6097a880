-- Files of the guest. Content is bytes: Lua strings may hold anything.

local guest = provium:vm("guest", "default"):boot()

test("files are written and read whole", function(t)
  guest:write_file("/etc/app.conf", "port = 80\n", { perm = "0640" })
  t:assert_eq(guest:read_file("/etc/app.conf"), "port = 80\n")
  t:assert_eq(guest:stat("/etc/app.conf").perm, tonumber("640", 8))
end)

test("directories are made, listed and removed", function(t)
  guest:mkdir("/srv/data/in", { parents = true })
  guest:write_file("/srv/data/one", "")
  local names = {}
  for _, entry in ipairs(guest:listdir("/srv/data")) do
    names[#names + 1] = entry.name .. " " .. entry.entry_type
  end
  t:assert_eq(table.concat(names, ", "), "in directory, one file")
  guest:unlink("/srv/data/one")
  guest:unlink("/srv/data/in")
end)

test("a host file is pushed from beside this one", function(t)
  guest:push_file("04-files.test.lua", "/tmp/this-test.lua")
  t:assert_contains(guest:read_file("/tmp/this-test.lua"), "from beside this one")
end)

test("what is missing raises, with the path and the kernel's reason", function(t)
  local message = t:assert_raises(function() guest:read_file("/no/such/file") end)
  t:assert_contains(message, "/no/such/file")
  t:assert_contains(message, "ENOENT")
end)

test("several operations go in one round trip", function(t)
  local answers = guest:batch(function(q)
    q:mkdir("/tmp/queue")
    q:write_file("/tmp/queue/n", "7")
    q:read_file("/tmp/queue/missing")
    q:read_file("/tmp/queue/n")
  end)
  t:assert_contains(answers[3].err, "ENOENT") -- a failure stops nothing
  t:assert_eq(answers[4].ok, "7")
end)
