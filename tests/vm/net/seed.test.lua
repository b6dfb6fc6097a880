local a = provium:vm("a", "default")
local b = provium:vm("b", "default")
provium:boot()
local lan = provium:bridge("lan")
lan:attach({ a, b })

test("two machines reach each other by name", function(t)
  a:run("ping -c 1 -W 20 b.lan"):assert_ok()
end)
