-- provium.reset_between_tests with bridges: what a test makes wrong on them, takes off them or connects is gone in the next.
provium.timeout = "5m"

local a = provium:vm("a", "default", { memory = "128M" })
local b = provium:vm("b", "default", { memory = "128M" })
local lan = provium:bridge("lan")
local far = provium:bridge("far")
lan:attach({ a, b })
provium:boot()
a:write_file("/tmp/state", "fresh")
provium.reset_between_tests = true

local address = lan:ip(b)

local function reaches(from, name)
  return from:run("ping -c 2 -i 0.2 -W 1 " .. name):ok()
end

local function intact(t)
  t:assert_eq(#lan:impairments(), 0)
  t:assert_eq(a:read_file("/tmp/state"), "fresh")
  t:assert_eq(lan:ip(b), address)
  t:assert_eq(#lan:routes(), 0)
  t:assert(not lan:has_uplink())
  t:assert_eq(a:run("ip route | wc -l").stdout:trim(), "1")
  for from, name in pairs({ [a] = "b.lan", [b] = "a.lan" }) do
    t:assert(wait_until(function() return reaches(from, name) end, { timeout = "60s", desc = "ping of " .. name }))
  end
end

test("a partition is made and holds", function(t)
  intact(t)
  lan:partition(a, b)
  lan:drop_rate(100)
  lan:isolate(b)
  a:write_file("/tmp/state", "dirty")
  t:assert(not reaches(a, "b.lan"))
end)

test("it is gone, and a cable is pulled", function(t)
  intact(t)
  lan:nic(b):disconnect()
  t:assert(not reaches(a, "b.lan"))
end)

test("the cable is in, and there are ways beyond", function(t)
  intact(t)
  lan:route(far)
  lan:enable_uplink()
  a:run("ping -c 1 -W 10 " .. far:ip()):assert_ok()
end)

test("there are none, and a machine leaves the bridge", function(t)
  intact(t)
  lan:detach(b)
  t:assert_eq(#lan:members(), 1)
end)

test("it is back, and dies", function(t)
  intact(t)
  b:kill()
end)

test("it lives, and everybody reaches everybody", intact)
