-- The guests' own DHCP clients get the addresses that the host has for them, and the names.
local a = provium:vm("a", "default", { memory = "128M" })
local b = provium:vm("b", "default", { memory = "128M" })
local lan = provium:bridge("lan", { dhcp = true, mtu = 1400 })
lan:attach({ a, b })
provium:boot()

test("nobody has an address before its client asks", function(t)
  t:assert(not a:run("ip -4 addr show dev eth0 | grep -q inet"):ok())
end)

test("udhcpc gets the address, the MTU and the name server that belong to the VM", function(t)
  for _, vm in ipairs({ a, b }) do
    local out = vm:run("udhcpc -i eth0 -n -q -t 20 -T 2 2>&1", { timeout = "60s" })
    t:log(out.stdout)
    out:assert_ok()
    t:assert_contains(vm:run("ip -4 addr show dev eth0").stdout, lan:ip(vm) .. "/24")
  end
  a:run("ping -c 1 -W 20 " .. lan:ip(b)):assert_ok()
end)

test("the responder answers questions for names", function(t)
  local server = lan:ip():gsub("%.1$", ".4")
  t:assert_contains(a:run("nslookup b.lan " .. server).stdout, lan:ip(b))
  t:assert_contains(a:run("nslookup b " .. server).stdout, lan:ip(b))
  local unknown = a:run("nslookup nobody.lan " .. server)
  t:assert_contains(unknown.stdout .. unknown.stderr, "NXDOMAIN")
end)

test("an address that belongs to somebody else is refused", function(t)
  local out = b:run("udhcpc -i eth0 -n -q -t 10 -T 2 -r " .. lan:ip(a) .. " 2>&1", { timeout = "60s" })
  t:log(out.stdout)
  t:assert_contains(b:run("ip -4 addr show dev eth0").stdout, lan:ip(b) .. "/24")
end)
