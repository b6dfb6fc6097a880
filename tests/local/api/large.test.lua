-- Large transfers, whose memory must stay bounded on both sides. Skipped unless --include-slow.
local g = provium:vm("g", "default"):boot()

test("100 MB of output arrive whole", { slow = true }, function(t)
  t:assert_eq(#g:run("head -c 100000000 /dev/zero").stdout, 100000000)
end)

test("a host file of 1 GiB is pushed", { slow = true }, function(t)
  local from, to = os.tmpname(), os.tmpname()
  local f <close> = assert(io.open(from, "w"))
  f:seek("set", (1 << 30) - 3)
  f:write("end")
  g:push_file(from, to)
  t:assert_eq(g:stat(to).size, 1 << 30)
  t:assert_eq(g:run({ "tail", "-c", "3", to }).stdout, "end")
  os.remove(from)
  os.remove(to)
end)
