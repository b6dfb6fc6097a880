-- Large transfers, whose memory must stay bounded on both sides.
local g = provium:vm("g", "default"):boot()

test("100 MB of output arrive whole", function(t)
  t:assert_eq(#g:run("head -c 100000000 /dev/zero").stdout, 100000000)
end)

test("a host file of 1 GiB is pushed", { slow = true }, function(t) -- takes ten seconds and 1 GiB of disk
  local from, to = os.tmpname(), os.tmpname()
  local f = assert(io.open(from, "w"))
  f:seek("set", (1 << 30) - 3)
  f:write("end")
  f:close()
  g:push_file(from, to)
  t:assert_eq(g:stat(to).size, 1 << 30)
  t:assert_eq(g:run({ "tail", "-c", "3", to }).stdout, "end")
  os.remove(from)
  os.remove(to)
end)
