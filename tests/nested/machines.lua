-- Run in the guest: machines with context IDs of /dev/vhost-vsock. Somebody else on that host holds the ID 10.
provium.timeout = "40m"

local function boot(vm)
  return function() return vm:boot { boot_timeout = "15m" } end
end

local a, b = provium:vm("a", "default"), provium:vm("b", "default")
provium:parallel(boot(a), boot(b))

test("machines that start at once have IDs of their own, and none that a foreign process holds", function(t)
  local ids = { a:cid(), b:cid() }
  table.sort(ids)
  t:assert_eq(table.concat(ids, " "), "11 12")
  t:assert_eq(a:run("echo a").stdout, "a\n")
  t:assert_eq(b:run("echo b").stdout, "b\n")
end)

test("a snapshot goes on under another ID, beside the machine it is of, and under one whose holder has ended", function(t)
  local reader = a:run_async("read line; echo $line")
  a:write_file("/tmp/kept", "kept")
  local before = a:cid()
  local snapshot = a:snapshot()

  local copy = provium:vm("copy", "default")
  copy:restore(snapshot)
  t:assert_eq(copy:cid(), 13)
  t:assert_eq(copy:read_file("/tmp/kept"), "kept")
  t:assert_eq(a:run("echo still here").stdout, "still here\n")
  copy:kill()

  a:kill()
  a:restore(snapshot)
  t:assert_eq(a:cid(), before)
  reader:stdin_write("through a new connection\n")
  reader:close_stdin()
  t:assert_eq(reader:wait().stdout, "through a new connection\n")
end)

test("after a reset the new agent is talked to, under the same ID", function(t)
  local before = b:cid()
  b:write_file("/tmp/gone", "")
  b:reset()
  t:assert_eq(b:cid(), before)
  t:assert_eq(b:run("ls /tmp").stdout:find("gone"), nil)
end)
