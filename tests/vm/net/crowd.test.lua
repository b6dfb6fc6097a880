-- Sixteen machines on one bridge, all of them copies of one, each plugged in while it runs.
provium.timeout = "10m"

local COUNT = 16
local origin = provium:vm("origin", "default", { memory = "96M" }):boot()
local image = origin:snapshot()
origin:kill()

local lan = provium:bridge("lan")
local crowd = {}
for n = 1, COUNT do crowd[n] = provium:vm("m" .. n, "default", { memory = "96M" }):restore(image) end
lan:attach(crowd)

test("each reaches the next by name, all at the same time", function(t)
  local pings = {}
  for n, vm in ipairs(crowd) do
    pings[n] = vm:run_async(("ping -c 3 -W 20 m%d.lan"):format(n % COUNT + 1))
  end
  for n, ping in ipairs(pings) do
    local result = ping:wait("2m")
    t:assert(result:ok(), ("m%d: %s"):format(n, result.stdout))
  end
end)

test("a broadcast reaches all others, a cut everybody but its two", function(t)
  for _, vm in ipairs(crowd) do vm:run("echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcasts"):assert_ok() end
  -- Who asks answers too.
  local function answering()
    local seen, count = {}, 0
    local out = crowd[1]:run("ping -c 5 -W 10 " .. lan:subnet():gsub("%.0/24", ".255"), { timeout = "1m" }).stdout
    for address in out:gmatch("from ([%d.]+)") do
      if not seen[address] then count = count + 1 end
      seen[address] = true
    end
    return seen, count
  end
  local function heard(ip, others)
    return wait_until(function()
      local seen, count = answering()
      return count == others and not seen[ip]
    end, { timeout = "2m", desc = others .. " answers" })
  end
  t:assert(heard("nobody", COUNT))
  lan:partition("m1", "m16")
  t:assert(heard(lan:ip("m16"), COUNT - 1))
  lan:isolate("m2")
  t:assert(heard(lan:ip("m2"), COUNT - 2))
end)
