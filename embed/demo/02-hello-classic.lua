-- The same in the classic API: a script that creates a machine, uses it and shuts it down. Tests run where they
-- stand, and both APIs may be mixed in one file.

local vm = provium.create("default")
vm:boot({ memory = "256M", cpus = 1 })

test("the kernel answers", function()
  local r = vm:exec("uname -s")
  assert(r.ok, r.stderr)
  assert_eq(r.stdout.trim(), "Linux")
end)

test("commands that fail are results, not errors", function()
  local r = vm:exec("ls /no/such/place")
  assert_eq(r.ok, false)
  assert_contains(r.stderr, "/no/such/place")
end)

test("output that is JSON becomes a table", function()
  local data = vm:json([[echo '{"disks": ["vda", "vdb"], "bytes": 9007199254740993}']])
  assert_eq(data.disks[2], "vdb")
  assert_eq(data.bytes, 9007199254740993) -- all 64 bits of it
end)

vm:shutdown()
