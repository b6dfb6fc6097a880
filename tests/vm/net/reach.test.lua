-- Who reaches whom: before and after the boot, by name, over several bridges, with and without addresses of ours.
local a = provium:vm("a", "default", { memory = "128M" })
local b = provium:vm("b", "default", { memory = "128M" })
local lan = provium:bridge("lan")
lan:attach(a)
provium:boot()
lan:attach("b")

local function reaches(from, name, more)
  return from:run("ping -c 1 -W 2 " .. (more or "") .. " " .. name):ok()
end

-- What must come may take its time on a busy host; ping ends with the first answer.
local function answers(from, name, more)
  return from:run("ping -c 1 -W 20 " .. (more or "") .. " " .. name):assert_ok().stdout
end

-- A ping's first packet may wait for the far end's address to be found out: that is no loss.
local function sees(t, from, name, more)
  t:assert(wait_until(function() return reaches(from, name, more) end, { timeout = "60s", desc = "ping of " .. name }))
end

test("a VM attached before its boot and one attached after reach each other by name", function(t)
  answers(a, "b.lan")
  answers(b, "a.lan")
  answers(b, "a")
  t:assert_eq(lan:nic(a):interface(), "eth0")
end)

test("the bridge answers at its own address", function(t)
  answers(a, lan:ip())
  sees(t, a, lan:ip6(), "-6")
end)

test("IPv6 works by its own name, and link-local without anybody's help", function(t)
  sees(t, a, "b.lan.ip6", "-6")
  t:assert_contains(a:run("ip -6 addr show dev eth0").stdout, lan:ip6(a))
  local own
  wait_until(function()
    own = b:run("ip -6 -o addr show dev eth0 scope link").stdout:match("inet6 (fe80[%x:]+)")
    return own
  end, { timeout = "30s", desc = "a link-local address" })
  sees(t, a, own .. "%eth0", "-6")
end)

test("the guest has the MAC address and the address that the host names", function(t)
  t:assert_contains(a:run("ip link show eth0").stdout, lan:nic(a):mac())
  t:assert_contains(a:run("ip -4 addr show eth0").stdout, lan:ip(a) .. "/24")
end)

test("a VM that is detached is unplugged and out of everybody's names, and comes back", function(t)
  lan:detach(b)
  t:assert_eq(b:run("ls /sys/class/net").stdout:trim(), "lo")
  t:assert(not a:run("grep b.lan /etc/hosts"):ok())
  t:assert(not b:run("grep provium: /etc/hosts"):ok())
  lan:attach(b)
  answers(a, "b.lan")
end)

test("what the guest has written into its hosts file stays", function(t)
  a:run("echo 192.0.2.7 mine >> /etc/hosts"):assert_ok()
  local extra = provium:bridge("extra")
  extra:attach(a)
  t:assert_contains(a:read_file("/etc/hosts"), "192.0.2.7 mine")
  t:assert_contains(a:read_file("/etc/hosts"), "a.extra")
  extra:close()
  t:assert_contains(a:read_file("/etc/hosts"), "192.0.2.7 mine")
  t:assert(not a:read_file("/etc/hosts"):find("a.extra", 1, true))
end)

test("two bridges are two networks, each with its interface and names", function(t)
  local wan = provium:bridge("wan")
  wan:attach({ a, b })
  t:assert_eq(a:nic("eth1"):bridge(), "wan")
  answers(a, "b.wan")
  wan:partition(a, b)
  t:assert(not reaches(a, "b.wan"))
  answers(a, "b.lan")
end)

test("bridges of sub-labs are separate, and the same names in them do not meet", function(t)
  local one, two = provium:lab("one"), provium:lab("two")
  local left, right = one:bridge("inner"), two:bridge("inner")
  left:attach(a)
  right:attach(b)
  t:assert(one.inner == left and two.inner ~= left)
  t:assert(not reaches(a, right:ip(b)))
  left:attach(b)
  sees(t, a, left:ip(b))
end)

test("routed bridges pass packets between their members", function(t)
  local north, south = provium:bridge("north"), provium:bridge("south")
  north:attach(a)
  south:attach(b)
  t:assert(not reaches(a, south:ip(b)))
  north:route(south)
  t:assert_eq(south:routes()[1], "north")
  sees(t, a, south:ip(b))
  t:assert_contains(answers(a, south:ip(b)), "ttl=63")
  sees(t, a, south:ip6(b), "-6")
  t:assert_contains(answers(a, south:ip6(b), "-6"), "ttl=63")
  south:unroute("north")
  t:assert_eq(#north:routes(), 0)
  t:assert(not reaches(a, south:ip(b)))
  t:assert(not reaches(a, south:ip6(b), "-6"))
  t:assert(not a:run("(ip route; ip -6 route) | grep -qF -e " .. south:subnet() .. " -e " .. south:ip6():gsub("::1$", "")):ok())
  north:route(south)
  sees(t, a, south:ip(b))
end)

test("addressing = none leaves the guest alone, and frames pass", function(t)
  local raw = provium:bridge("raw", { addressing = "none" })
  raw:attach({ a, b })
  t:assert_eq(raw:ip(a), nil)
  local mac = { [a] = raw:nic(a):mac(), [b] = raw:nic(b):mac() }
  for vm, address in pairs({ [a] = "192.0.2.1/24", [b] = "192.0.2.2/24" }) do
    local set = "for d in /sys/class/net/*; do grep -q " .. mac[vm] .. " $d/address && ip addr add " .. address
      .. " dev ${d##*/} && ip link set ${d##*/} up; done; true"
    wait_until(function()
      vm:run(set)
      return vm:run("ip -4 addr | grep " .. address):ok()
    end, { timeout = "30s", desc = "the interface on raw" })
  end
  t:assert(not a:read_file("/etc/hosts"):find("raw", 1, true))
  sees(t, a, "192.0.2.2")
end)

test("jumbo frames pass a bridge with a large MTU, and only there", function(t)
  local big = provium:bridge("big", { mtu = 9000 })
  big:attach({ a, b })
  local name = big:nic(a):interface()
  t:assert_contains(a:run("ip link show " .. name).stdout, "mtu 9000")
  local cap = big:nic(b):capture()
  sees(t, a, big:ip(b), "-s 8000")
  t:assert(#cap:bytes() > 16000, "8000 bytes there and back in one frame each")
end)

test("VLAN tags pass unchanged", function(t)
  for n, vm in ipairs({ a, b }) do
    vm:run("modprobe 8021q; ip link add link eth0 name v5 type vlan id 5 && ip addr add 10.55.0." .. n .. "/24 dev v5 && ip link set v5 up"):assert_ok()
  end
  local cap = lan:capture()
  sees(t, a, "10.55.0.2")
  t:assert_contains(cap:bytes(), "\x81\x00\x00\x05\x08")
  for _, vm in ipairs({ a, b }) do vm:run("ip link del v5"):assert_ok() end
end)

test("broadcast and multicast reach every member", function(t)
  b:run("echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcasts"):assert_ok()
  local everybody = lan:subnet():gsub("%.0/24", ".255")
  for _, group in ipairs({ everybody, "-I eth0 224.0.0.1" }) do
    wait_until(function()
      return a:run("ping -c 2 -W 2 " .. group).stdout:find("from " .. lan:ip(b), 1, true)
    end, { timeout = "60s", desc = "b's answer to ping " .. group })
  end
end)

test("a rebooted VM is on its bridges again", function(t)
  b:reset()
  answers(a, "b.lan")
  b:shutdown()
  t:assert(not reaches(a, "b.lan"))
  b:boot()
  answers(a, "b.lan")
end)

test("sixty-four members have addresses of their own", function(t)
  local crowd = provium:bridge("crowd")
  local seen = {}
  for n = 1, 64 do
    local vm = provium:vm("m" .. n, "default")
    crowd:attach(vm)
    t:assert(not seen[crowd:ip(vm)] and not seen[crowd:nic(vm):mac()])
    seen[crowd:ip(vm)], seen[crowd:nic(vm):mac()] = true, true
  end
  t:assert_eq(#crowd:members(), 64)
end)
