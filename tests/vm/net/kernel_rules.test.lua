-- The rules that the kernel backend makes, tried out in a guest whose kernel has netem whatever the host's has: the
-- very lines of tests/golden/kernel-rules.json, with namespaces as the machines and this host's ip, tc and nft.
provium.timeout = "5m"

local vm = provium:vm("kernel", "default", { memory = "256M" }):boot()

-- The tests say when this host has not what they push.
local lacking = require("tests.shared.host_programs")(vm, { "ip", "tc", "nft" })

-- busybox takes its own `ip` and `tc` before any of the PATH.
local PRELUDE = [[
export LD_LIBRARY_PATH=/lib
set -e
ip() { /opt/bin/ip "$@"; }
tc() { /opt/bin/tc "$@"; }
nft() { /opt/bin/nft "$@"; }
]]

local function sh(script)
  return vm:run(PRELUDE .. script, { timeout = "2m" })
end

-- Who is who is known from the start: a lost, late or damaged ARP frame is none of what is measured.
local function wire_up()
  sh([[
    ip link add name b0 address 52:54:01:00:00:01 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    ip link set b0 up
    for n in 1 2 3; do
      ip netns add m$n
      ip link add name t$n type veth peer name e0 netns m$n address 52:54:00:00:00:0$n
      ip link set t$n master b0 up
      ip -n m$n link set e0 up
      ip -n m$n addr add 10.0.0.$n/24 dev e0
      for other in 1 2 3; do
        ip -n m$n neigh replace 10.0.0.$other lladdr 52:54:00:00:00:0$other dev e0 nud permanent
      done
    done
  ]]):assert_ok()
end

local plans = {}
if not lacking then
  wire_up()
  vm:push_file("../../golden/kernel-rules.json", "/tmp/rules.json")
  for _, plan in ipairs(json.decode(vm:read_file("/tmp/rules.json"))) do plans[plan.name] = plan end
end

-- Runs the claim with the plan of that name in force.
local function trial(title, name, claim)
  test(title, function(t)
    if lacking then t:skip("this host has no " .. lacking) end
    local plan = plans[name]
    vm:write_file("/tmp/nft", table.concat(plan.nft, "\n") .. "\n")
    vm:write_file("/tmp/tc", table.concat(plan.tc, "\n") .. "\n")
    sh("nft -f /tmp/nft; tc -batch /tmp/tc"):assert_ok()
    local ok, why = pcall(claim, t)
    sh("for n in 1 2 3; do tc qdisc del dev t$n root 2>/dev/null || true; done; nft delete table bridge b0")
    if not ok then error(why, 0) end
  end)
end

local function ping(from, to, options)
  return sh(("ip netns exec m%d ping %s 10.0.0.%d || true"):format(from, options, to)).stdout
end

local function received(out)
  return (assert(tonumber(out:match("(%d+) packets received")), out))
end

local function least(from, to)
  local out = ping(from, to, "-c 5 -i 0.05 -W 10")
  return (assert(tonumber(out:match("min/avg/max = ([%d.]+)/")), out))
end

-- Noise only adds to a delay: it is never shorter than set, and some time it is as long as set.
local function assert_late(t, from, to, ms)
  local fastest = math.huge
  wait_until(function()
    local got = least(from, to)
    fastest = math.min(fastest, got)
    return got < ms or got <= ms + 1 + 0.05 * ms
  end, { timeout = "60s", desc = ("a round trip of %g ms and little more, from %d to %d"):format(ms, from, to) })
  t:log(("%.3f ms of %g"):format(fastest, ms))
  t:assert(fastest >= ms, ("%.3f ms are less than %g"):format(fastest, ms))
end

-- A binomial count, within bounds that a right one leaves once in 10^6 runs.
local function assert_share(t, got, of, chance, what)
  t:log(("%d of %d %s with a chance of %g"):format(got, of, what, chance))
  t:assert(math.abs(got - of * chance) <= 5 * math.sqrt(of * chance * (1 - chance)),
    ("%d of %d %s with a chance of %g"):format(got, of, what, chance))
end

local function duplicates(out)
  return select(2, out:gsub("DUP!", ""))
end

trial("latency is that of the setting, in its direction only", "latency", function(t)
  assert_late(t, 1, 2, 100)
  t:assert(least(1, 3) < 100, "other directions are as before")
end)

trial("jitter spreads the delays around the latency", "jitter", function(t)
  local all = {}
  for ms in ping(1, 2, "-c 30 -i 0.05 -W 10"):gmatch("time=([%d.]+)") do all[#all + 1] = tonumber(ms) end
  table.sort(all)
  t:log(("%.2f to %.2f ms"):format(all[1], all[#all]))
  t:assert(all[1] >= 40 and all[1] < 100, all[1] .. " ms is the least of 100 +- 60")
  t:assert(all[#all] > 120, all[#all] .. " ms is the most of 100 +- 60")
end)

trial("loss is that of the setting, in its direction only", "loss", function(t)
  assert_share(t, received(ping(1, 2, "-c 200 -i 0.01 -W 5")), 200, 0.7, "came")
  t:assert_eq(received(ping(1, 3, "-c 20 -i 0.01 -W 10")), 20)
end)

trial("duplicates are as many as set", "duplication", function(t)
  assert_share(t, duplicates(ping(1, 2, "-c 100 -i 0.02 -W 10")), 100, 0.5, "came twice")
end)

trial("reordered frames overtake those that wait, and none is lost", "reordering", function(t)
  local seqs, overtaken = {}, 0
  for seq in ping(1, 2, "-c 60 -i 0.02 -W 10"):gmatch("seq=(%d+)") do seqs[#seqs + 1] = tonumber(seq) end
  for n = 2, #seqs do if seqs[n] < seqs[n - 1] then overtaken = overtaken + 1 end end
  t:log(overtaken .. " of " .. #seqs .. " overtaken")
  t:assert(#seqs == 60 and overtaken > 3, overtaken .. " of " .. #seqs .. " overtaken")
end)

trial("a damaged frame fails its checksum", "corruption", function(t)
  local n = received(ping(1, 2, "-c 40 -i 0.02 -W 1 -s 1000"))
  t:log(n .. " of 40 came whole")
  t:assert(n <= 4, n .. " of 40 came whole")
end)

trial("the rate is that of the setting within ten percent", "rate", function(t)
  local bps, bytes = 4000000, 2000000
  local fastest = 0
  -- A host that is busy makes it slower, never faster. A receiver whose own input has ended hangs up.
  wait_until(function()
    local times = sh(([[
      [ -p /tmp/open ] || mkfifo /tmp/open
      exec 9<>/tmp/open
      ip netns exec m2 nc -l -p 5001 <&9 >/tmp/came &
      sink=$!
      until ip netns exec m2 netstat -ltn | grep -q :5001; do sleep 0.1; done
      read begun rest </proc/uptime
      head -c %d /dev/zero | ip netns exec m1 nc 10.0.0.2 5001
      wait $sink
      read ended rest </proc/uptime
      [ $(wc -c </tmp/came) = %d ]
      echo $begun $ended
    ]]):format(bytes, bytes)):assert_ok().stdout
    local begun, ended = times:match("([%d.]+) ([%d.]+)")
    -- 1448 bytes of data in each frame of 1514.
    fastest = math.max(fastest, bytes * 8 * 1514 / 1448 / (ended - begun))
    return fastest >= 0.9 * bps
  end, { timeout = "2m", desc = "a transfer at nine tenths of the rate" })
  t:log(("%.0f bit/s of %d"):format(fastest, bps))
  t:assert(fastest <= 1.1 * bps, ("%.0f bit/s of %d"):format(fastest, bps))
end)

trial("latency, loss, duplication and a rate hold together in one direction", "together", function(t)
  assert_late(t, 1, 2, 80)
  local out = ping(1, 2, "-c 200 -i 0.01 -W 5")
  assert_share(t, received(out), 200, 0.8, "came")
  assert_share(t, duplicates(out), received(out), 0.25, "came twice")
end)

trial("each pair of a bridge has its own", "several", function(t)
  t:assert_eq(received(ping(1, 2, "-c 3 -i 0.1 -W 1")), 0)
  assert_late(t, 1, 3, 200)
  assert_late(t, 2, 3, 50)
end)

-- As the rules of every distribution's udev leave it, which this guest has not.
test("somebody without rights gets a namespace, and in it a bridge, a TAP, rules and queues", function(t)
  if lacking then t:skip("this host has no " .. lacking) end
  vm:run("chmod 666 /dev/net/tun"):assert_ok()
  vm:push_file("../../../build/agent/provium-helper", "/opt/bin/provium-helper", { perm = "0755" })
  local nobody = vm:spawn_worker()
  t:assert_eq(nobody:syscall("setresgid", 65534, 65534, 65534).ret, 0)
  t:assert_eq(nobody:syscall("setresuid", 65534, 65534, 65534).ret, 0)
  local holder = nobody:run_async({ "/opt/bin/provium-helper", "netns", "hold" }, { stdin = "" })
  holder:stdout_stream():read_until("ready\n", "30s")
  vm:write_file("/tmp/nft", table.concat(plans.loss.nft, "\n") .. "\n")
  vm:write_file("/tmp/tc", table.concat(plans.together.tc, "\n") .. "\n")
  vm:write_file("/tmp/inside", PRELUDE .. [[
    ip link add name b0 type bridge
    ip tuntap add dev t2 mode tap
    ip link set dev t2 master b0 up
    nft -f /tmp/nft
    tc -batch /tmp/tc
    nft list tables
    tc qdisc show dev t2
  ]])
  local made = nobody:run({ "/opt/bin/provium-helper", "netns", "enter", tostring(holder:pid()), "sh", "/tmp/inside" })
  t:assert(made:ok(), made.stderr)
  t:assert_contains(made.stdout, "table bridge b0")
  t:assert_contains(made.stdout, "netem")
  holder:kill()
end)
