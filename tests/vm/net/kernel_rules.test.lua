-- The rules that the kernel backend makes, tried out in a guest whose kernel has netem whatever the host's has: the
-- very lines of tests/golden/kernel-rules.json, with namespaces as the machines and this host's ip, tc and nft.
local vm = provium:vm("kernel", "default", { memory = "256M" }):boot()

local LIBRARIES = { "/lib/x86_64-linux-gnu/", "/usr/lib/x86_64-linux-gnu/", "/lib64/", "/usr/lib64/", "/usr/lib/" }
local LOADER = "/lib64/ld-linux-x86-64.so.2"

local function host_file(directories, name)
  for _, directory in ipairs(directories) do
    local file = io.open(directory .. name)
    if file then
      file:close()
      return directory .. name
    end
  end
end

-- Whether this host has what is pushed; the tests say when it has not.
local lacking
local function bring(program)
  local path = host_file({ "/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/" }, program)
  lacking = lacking or (not path and program) or (not host_file({ "" }, LOADER) and LOADER)
  if lacking then return end
  vm:push_file(path, "/opt/bin/" .. program, { perm = "0755" })
  local listed = vm:run(LOADER .. " --list /opt/bin/" .. program .. " 2>&1").stdout
  -- What is not there yet is named; with it come the names of what that needs.
  local missing = listed:match("([%w._+-]+) => not found") or listed:match("([%w._+-]+): cannot open shared object file")
  while missing do
    local library = host_file(LIBRARIES, missing)
    if not library then error(program .. " needs " .. missing) end
    vm:push_file(library, "/lib/" .. missing, { perm = "0755" })
    listed = vm:run(LOADER .. " --list /opt/bin/" .. program .. " 2>&1").stdout
    local before = missing
    missing = listed:match("([%w._+-]+) => not found") or listed:match("([%w._+-]+): cannot open shared object file")
    if missing == before then error(listed) end
  end
end

-- busybox takes its own `ip` and `tc` before any of the PATH.
local PRELUDE = [[
export LD_LIBRARY_PATH=/lib
set -e
ip() { /opt/bin/ip "$@"; }
tc() { /opt/bin/tc "$@"; }
nft() { /opt/bin/nft "$@"; }
]]

local function sh(script, timeout)
  return vm:run(PRELUDE .. script, { timeout = timeout or "60s" })
end

if host_file({ "" }, LOADER) then
  vm:run("mkdir -p /lib64 /opt/bin"):assert_ok()
  vm:push_file(LOADER, LOADER, { perm = "0755" })
end
for _, program in ipairs({ "ip", "tc", "nft" }) do bring(program) end

vm:push_file("../../golden/kernel-rules.json", "/tmp/rules.json")
local plans = {}
for _, plan in ipairs(json.decode(vm:read_file("/tmp/rules.json"))) do plans[plan.name] = plan end

if not lacking then
  sh([[
    ip link add name b0 address 52:54:01:00:00:01 type bridge stp_state 0 forward_delay 0
    ip link set b0 up
    for n in 1 2 3; do
      ip netns add m$n
      ip link add name t$n type veth peer name e0 netns m$n address 52:54:00:00:00:0$n
      ip link set t$n master b0 up
      ip -n m$n link set e0 up
      ip -n m$n addr add 10.0.0.$n/24 dev e0
    done
  ]]):assert_ok()
end

local function ping(from, to, options)
  return sh(("ip netns exec m%d ping %s 10.0.0.%d || true"):format(from, options, to), "120s").stdout
end

local function least(out)
  return (assert(tonumber(out:match("min/avg/max = ([%d.]+)/")), out))
end

-- Also: who is who is known before anything is wrong.
local base = 0
if not lacking then
  for _, pair in ipairs({ { 1, 2 }, { 1, 3 }, { 2, 3 } }) do
    base = math.max(base, least(ping(pair[1], pair[2], "-c 5 -i 0.05 -W 10")))
  end
end

-- Noise only adds: the least of a few pings, beside the least without delay.
local function assert_late(t, from, to, ms)
  local there = least(ping(from, to, "-c 8 -i 0.05 -W 10"))
  t:log(("%.2f ms of %g (%.2f without)"):format(there, ms, base))
  t:assert(there >= ms and there <= ms + 1 + 0.05 * ms + base, ("%.2f ms of %g (%.2f without)"):format(there, ms, base))
end

local function trial(name, claim)
  test(name, function(t)
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

local function received(out)
  return (assert(tonumber(out:match("(%d+) packets received")), out))
end

local function sequence(out)
  local seqs = {}
  for seq in out:gmatch("seq=(%d+)") do seqs[#seqs + 1] = tonumber(seq) end
  return seqs
end

trial("latency", function(t)
  assert_late(t, 1, 2, 100)
  t:assert(least(ping(1, 3, "-c 5 -i 0.05 -W 10")) < 100, "other directions are as before")
end)

trial("jitter", function(t)
  local all = {}
  for ms in ping(1, 2, "-c 30 -i 0.05 -W 10"):gmatch("time=([%d.]+)") do all[#all + 1] = tonumber(ms) end
  table.sort(all)
  t:log(("%.2f to %.2f ms"):format(all[1], all[#all]))
  t:assert(all[1] >= 40 and all[1] < 90 + base, all[1] .. " ms is the least of 100 +- 60")
  t:assert(all[#all] > 120, all[#all] .. " ms is the most of 100 +- 60")
end)

trial("loss", function(t)
  local n = received(ping(1, 2, "-c 200 -i 0.01 -W 5"))
  t:log(n .. " of 200 with a loss of 0.3")
  t:assert(math.abs(n - 140) <= 5 * math.sqrt(200 * 0.3 * 0.7), n .. " of 200 came")
  t:assert_eq(received(ping(1, 3, "-c 20 -i 0.01 -W 10")), 20)
end)

trial("duplication", function(t)
  local _, doubled = ping(1, 2, "-c 100 -i 0.02 -W 10"):gsub("DUP!", "")
  t:log(doubled .. " of 100 twice with a chance of 0.5")
  t:assert(math.abs(doubled - 50) <= 5 * math.sqrt(100 * 0.25), doubled .. " of 100 came twice")
end)

trial("reordering", function(t)
  local seqs, overtaken = sequence(ping(1, 2, "-c 60 -i 0.02 -W 10")), 0
  for n = 2, #seqs do if seqs[n] < seqs[n - 1] then overtaken = overtaken + 1 end end
  t:log(overtaken .. " of " .. #seqs .. " overtaken")
  t:assert(#seqs == 60 and overtaken > 3, overtaken .. " of " .. #seqs .. " overtaken")
end)

trial("corruption", function(t)
  local n = received(ping(1, 2, "-c 40 -i 0.02 -W 1 -s 1000"))
  t:assert(n <= 4, n .. " of 40 came whole")
end)

trial("several", function(t)
  t:assert_eq(received(ping(1, 2, "-c 3 -i 0.1 -W 1")), 0)
  assert_late(t, 1, 3, 200)
  assert_late(t, 2, 3, 50)
end)
