-- A way out: to the host's own services, in neither direction before it was asked for.
local a = provium:vm("a", "default", { memory = "128M" })
local lan = provium:bridge("lan")
lan:attach(a)
provium:boot()

-- The host as the guests see it through QEMU's user networking.
local host = lan:ip():gsub("%.1$", ".2")

test("without an uplink there is no default route", function(t)
  t:assert(not a:run("ip route | grep -q default"):ok())
  t:assert(not lan:has_uplink())
end)

test("with it the guest has a default route whose router answers, and without it neither", function(t)
  lan:enable_uplink()
  t:assert(lan:has_uplink())
  t:assert_contains(a:run("ip route").stdout, "default via " .. host)
  a:run("ping -c 1 -W 20 " .. host):assert_ok()
  lan:disable_uplink()
  t:assert(not a:run("ip route | grep -q default"):ok())
  t:assert(not a:run("ping -c 1 -W 1 " .. host):ok())
end)

test("the way out is cut with its VM's isolation", function(t)
  lan:enable_uplink()
  a:run("ping -c 1 -W 20 " .. host):assert_ok()
  lan:isolate(a)
  t:assert(not a:run("ping -c 1 -W 1 " .. host):ok())
  lan:reset()
  a:run("ping -c 1 -W 20 " .. host):assert_ok()
end)

test("a way that this host or this backend has not is refused with its reason", function(t)
  lan:disable_uplink()
  t:assert_contains(t:assert_raises(function() lan:enable_uplink("tunnel") end), 'no way "tunnel" (known: masquerade, user)')
  lan:enable_uplink("user")
  t:assert_eq(lan:uplink(), "user")
  t:assert_contains(t:assert_raises(function() lan:enable_uplink("masquerade") end), 'has an uplink already, by "user"')
  lan:disable_uplink()
  if lan:backend() == "user" then
    t:assert_contains(t:assert_raises(function() lan:enable_uplink("masquerade") end),
      'bridge:enable_uplink("masquerade"): the userland switch carries the frames')
  end
end)
