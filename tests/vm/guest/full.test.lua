--!provium lab
-- A full file system: what fails says so, and the agent goes on.
local vm = provium:vm("full", "default", { memory = "192M" }):boot()
local test = require("tests.shared.clean")(vm)

--- A file system of 1 MiB, and what to call at the end.
local function small(path)
  vm:run("mkdir -p " .. path .. " && mount -t tmpfs -o size=1m none " .. path):assert_ok()
  return function() vm:run({ "umount", path }):assert_ok() end
end

local MEBIBYTE = ("x"):rep(1 << 20)

test("every way to write a file says ENOSPC and the path", function(t)
  local done = small("/small")
  local host = os.tmpname()
  local source = assert(io.open(host, "wb"))
  source:write(MEBIBYTE, MEBIBYTE)
  source:close()
  local ways = {
    function(path) vm:write_file(path, MEBIBYTE .. "more") end,
    function(path) vm:write_file(path, MEBIBYTE:rep(5)) end,
    function(path) vm:push_file(host, path) end,
  }
  for i, way in ipairs(ways) do
    local path = "/small/" .. i
    local err = t:assert_raises(function() way(path) end)
    t:assert_contains(err, "No space left on device (ENOSPC)")
    t:assert_contains(err, path)
    vm:unlink(path)
  end
  os.remove(host)
  vm:write_file("/small/fits", "there is room again")
  t:assert_eq(vm:read_file("/small/fits"), "there is room again")
  done()
end)

test("an open file takes what fits and says how much, then nothing", function(t)
  local done = small("/small")
  local f = vm:open_file("/small/f", { write = true, create = true })
  local written = f:write(MEBIBYTE .. MEBIBYTE)
  t:assert(written > 0 and written <= #MEBIBYTE, written .. " bytes were written")
  t:assert_eq(vm:stat("/small/f").size, written)
  t:assert_contains(t:assert_raises(function() f:write("x") end), "ENOSPC")
  t:assert_eq(f:tell(), written)
  f:close()
  done()
end)

test("a command that finds no room fails by itself; what it prints still comes", function(t)
  local done = small("/small")
  local r = vm:run("echo before; cat /dev/zero > /small/zeros; code=$?; head -c 300000 /dev/zero | tr '\\0' y; exit $code")
  t:assert_eq(r.exit_code, 1)
  t:assert_contains(r.stderr, "No space left on device")
  t:assert_eq(r.stdout, "before\n" .. ("y"):rep(300000))
  done()
end)

test("with no room at all in its root the guest is driven as before", function(t)
  t:assert_contains(vm:run("cat /dev/zero > /zeros").stderr, "No space left on device")
  t:assert_contains(t:assert_raises(function() vm:write_file("/more", MEBIBYTE) end), "ENOSPC")
  t:assert_eq(vm:run("head -c 100000 /dev/zero | wc -c").stdout, "100000\n")
  local w = vm:spawn_worker()
  t:assert_eq(w:syscall("getpid").ret, w:pid())
  local p = vm:run_async({ "cat" })
  p:stdin_write(MEBIBYTE:sub(1, 50000))
  p:close_stdin()
  t:assert_eq(#p:wait(20).stdout, 50000)
  w:close()
  vm:unlink("/zeros")
  vm:run("rm -f /more"):assert_ok()
  vm:write_file("/more", MEBIBYTE)
  t:assert_eq(vm:stat("/more").size, #MEBIBYTE)
  vm:unlink("/more")
end)
