-- What is wrong by wish: cut, slow, lossy, doubled, disordered, damaged and narrow ways between three machines.
local a = provium:vm("a", "default", { memory = "128M" })
local b = provium:vm("b", "default", { memory = "128M" })
local c = provium:vm("c", "default", { memory = "128M" })
local lan = provium:bridge("lan", { seed = 20260101 })
lan:attach({ a, b, c })
provium:boot()

local function reaches(from, name)
  return from:run("ping -c 2 -i 0.2 -W 1 " .. name):ok()
end

-- What must come may take its time on a busy host; ping ends with the first answer.
local function answers(from, name)
  return from:run("ping -c 1 -W 20 " .. name):ok()
end

-- What has been sent may be under way still.
local function comes(desc, condition)
  return wait_until(condition, { timeout = "60s", desc = desc })
end

-- A kernel that lacks what a setting needs says so; there is nothing more to see then.
local function possible(t, set)
  local ok, why = pcall(set)
  if ok then return true end
  if lan:backend() == "kernel" and tostring(why):find("needs `--network user`", 1, true) then
    t:assert_contains(why, "this kernel has no sch_netem: ")
    lan:reset()
    return false
  end
  error(why, 0)
end

-- Smallest round trip in ms of a few pings: noise only adds.
local function rtt(from, name)
  local out = from:run("ping -c 8 -i 0.1 -W 5 " .. name).stdout
  return assert(tonumber(out:match("min/avg/max = ([%d.]+)/")), out)
end

local function packets(capture, keep)
  local found = {}
  for _, packet in ipairs(provium.pcap(capture:bytes())) do
    if keep(packet) then found[#found + 1] = packet end
  end
  return found
end

local function requests(packet)
  return packet.icmp and packet.icmp.type == 8
end

test("before anything is wrong everybody reaches everybody", function(t)
  for _, from in ipairs({ a, b, c }) do
    for _, to in ipairs({ "a.lan", "b.lan", "c.lan" }) do t:assert(answers(from, to), from:name() .. " to " .. to) end
  end
  t:assert_eq(#lan:impairments(), 0)
end)

test("a symmetric partition cuts one pair and leaves the others", function(t)
  lan:partition(a, b)
  t:assert(not reaches(a, "b.lan"))
  t:assert(not reaches(b, "a.lan"))
  t:assert(answers(a, "c.lan") and answers(b, "c.lan"))
  t:assert(lan:is_partitioned("a", "b") and lan:is_partitioned(b, a))
  lan:unpartition(a, b)
  t:assert(answers(a, "b.lan"))
end)

test("a one-way cut: what a sends does not arrive, what b sends does", function(t)
  t:assert(answers(a, "b.lan"))
  lan:partition({ from = a, to = b })
  t:assert(lan:is_partitioned(a, b) and not lan:is_partitioned(b, a))
  local at_a, at_b = lan:nic(a):capture(), lan:nic(b):capture()
  local before = lan:nic(b):counters()
  t:assert(not reaches(a, "b.lan"))
  comes("the requests that a has sent", function() return #packets(at_a, requests) >= 2 end)
  t:assert_eq(#packets(at_b, function(p) return requests(p) and p.ip.src == lan:ip(a) end), 0)
  at_b:close()
  local replies = lan:nic(a):capture()
  t:assert(not reaches(b, "a.lan"))
  -- Requests of b arrive at a, which answers; the answers are cut.
  comes("the requests of b", function()
    return #packets(replies, function(p) return requests(p) and p.ip.src == lan:ip(b) end) >= 2
  end)
  local after = lan:nic(b):counters()
  t:assert(after.tx_packets > before.tx_packets)
  lan:unpartition({ from = a, to = b })
  t:assert(answers(a, "b.lan"))
end)

test("all partitioned, all restored; isolation is apart from both", function(t)
  lan:partition_all()
  t:assert_eq(#lan:impairments(), 6)
  t:assert(not reaches(a, "b.lan") and not reaches(b, "c.lan"))
  lan:isolate(c)
  lan:restore_all()
  t:assert(answers(a, "b.lan"))
  t:assert(lan:is_isolated("c") and not reaches(a, "c.lan") and not reaches(c, "b.lan"))
  t:assert(not reaches(c, lan:ip()), "the bridge itself is out of reach too")
  lan:unisolate(c)
  t:assert(answers(a, "c.lan"))
end)

test("a pulled cable is seen in the guest and lets nothing pass", function(t)
  local nic = b:nic("lan")
  nic:disconnect()
  local function carrier() return b:read_file("/sys/class/net/eth0/carrier"):trim() end
  comes("the loss of the carrier", function() return carrier() == "0" end)
  t:assert(not reaches(a, "b.lan"))
  nic:reconnect()
  comes("the carrier", function() return carrier() == "1" end)
  comes("an answer of b", function() return reaches(a, "b.lan") end)
end)

test("latency of the bridge counts once each way, that of a direction once", function(t)
  local base = rtt(a, "b.lan")
  -- A busy host makes a round trip longer, now and then, and never shorter.
  local function adds(expected)
    local got
    wait_until(function()
      got = rtt(a, "b.lan") - base
      return math.abs(got - expected) <= 1 + 0.05 * expected + base
    end, { timeout = "60s", desc = ("a round trip that is %g ms longer than %g"):format(expected, base) })
    t:log(("expected %g ms more, got %g (base %g)"):format(expected, got, base))
  end
  if not possible(t, function() lan:add_latency(40) end) then return end
  adds(80)
  lan:add_latency({ from = a, to = b, ms = 120 })
  adds(160)
  lan:add_latency(0)
  adds(120)
  lan:add_latency({ from = "a", to = "b", ms = "200ms" })
  adds(200)
  lan:reset()
  adds(0)
end)

test("loss of a direction is that of the setting, and only there", function(t)
  lan:drop_rate({ from = a, to = b, p = 30 })
  local sent, at_b = lan:nic(a):capture(), lan:nic(b):capture()
  a:run("ping -c 300 -i 0.01 -W 1 b.lan", { timeout = "120s" })
  local function replies(packet) return packet.icmp and packet.icmp.type == 0 end
  local n, k, answered, back
  comes("all 300 requests, and an answer to each that has arrived", function()
    n, back = #packets(sent, requests), #packets(sent, replies)
    k, answered = #packets(at_b, requests), #packets(at_b, replies)
    t:log(("%d of %d arrived, %d answered, %d back"):format(k, n, answered, back))
    return n == 300 and answered == k and back == answered
  end)
  t:assert(math.abs(k - 210) <= 5 * math.sqrt(300 * 0.3 * 0.7), k .. " of 300 arrived")
  sent:close() at_b:close()
  lan:drop_rate({ from = a, to = b, p = 100 })
  t:assert(not reaches(a, "b.lan"))
  lan:reset()
  t:assert(answers(a, "b.lan"))
end)

test("a bandwidth limit holds within ten percent", function(t)
  local bps = 4000000
  if not possible(t, function() lan:bandwidth_limit({ from = a, to = b, bps = bps }) end) then return end
  t:assert_eq(lan:impairments()[1].bandwidth_bps, bps)
  local cap = lan:nic(b):capture()
  local sink = b:run_async("nc -l -p 5001 > /dev/null")
  comes("a listener", function() return b:run("netstat -ltn | grep -q :5001"):ok() end)
  a:run("dd if=/dev/zero bs=50000 count=50 2>/dev/null | nc " .. lan:ip(b) .. " 5001", { timeout = "60s" }):assert_ok()
  sink:wait("30s")
  local data = packets(cap, function(p) return p.tcp and p.tcp.dst_port == 5001 and p.length > 1000 end)
  cap:close()
  lan:reset()
  -- The first may go out of a full bucket. A busy host holds up single windows, so their median counts.
  local windows, window = {}, 50
  for from = 20, #data - window, window do
    local bytes = 0
    for n = from + 1, from + window do bytes = bytes + data[n].length end
    windows[#windows + 1] = bytes * 8 / (data[from + window].time - data[from].time)
  end
  t:assert(#windows >= 20, #windows .. " windows")
  table.sort(windows)
  local rate = windows[#windows // 2 + 1]
  t:log(("%.0f to %.0f bit/s, median %.0f of %d"):format(windows[1], windows[#windows], rate, bps))
  t:assert(math.abs(rate - bps) <= 0.1 * bps, ("%.0f bit/s instead of %d"):format(rate, bps))
end)

test("duplicates, overtaking and damage are in the capture", function(t)
  local function sequence(capture)
    local seqs = {}
    for _, packet in ipairs(packets(capture, requests)) do seqs[#seqs + 1] = packet.icmp.seq end
    return seqs
  end
  if not possible(t, function() lan:duplicate_rate({ from = a, to = b, p = 50 }) end) then return end
  local cap = lan:nic(b):capture()
  a:run("ping -c 40 -i 0.02 -W 1 b.lan")
  comes("more than 45 requests of 40", function() return #sequence(cap) > 45 end)
  local count = #sequence(cap)
  t:assert(count < 75, count .. " requests of 40")
  cap:close()
  lan:reset()
  lan:add_latency({ from = a, to = b, ms = 100 })
  lan:reorder_rate({ from = a, to = b, p = 30 })
  cap = lan:nic(b):capture()
  a:run("ping -c 40 -i 0.02 -W 2 b.lan")
  comes("more than 3 requests that others have overtaken", function()
    local seqs, overtaken = sequence(cap), 0
    for n = 2, #seqs do if seqs[n] < seqs[n - 1] then overtaken = overtaken + 1 end end
    return overtaken > 3
  end)
  cap:close()
  lan:reset()
  lan:corrupt_rate({ from = a, to = b, p = 100 })
  t:assert(not reaches(a, "b.lan"), "every frame has a wrong bit")
  lan:reset()
  t:assert(answers(a, "b.lan"))
end)

test("TCP survives a partition that is healed", function(t)
  local sink = b:run_async("nc -l -p 5002")
  comes("a listener", function() return b:run("netstat -ltn | grep -q :5002"):ok() end)
  local source = a:run_async("(echo one; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo two) | nc " .. lan:ip(b) .. " 5002")
  local out = sink:stdout_stream()
  out:read_until("one\n", "10s")
  lan:partition(a, b)
  a:run("touch /tmp/go"):assert_ok()
  t:assert_eq(#out:drain("1s"), 0)
  lan:unpartition(a, b)
  out:read_until("two\n", "60s")
  source:wait("10s")
end)

test("settings before the attachment and of several kinds hold together", function(t)
  lan:detach(c)
  t:assert_raises(function() lan:partition(a, c) end)
  lan:attach(c)
  if not possible(t, function() lan:add_latency({ from = a, to = c, ms = 60 }) end) then return end
  lan:drop_rate(0)
  lan:bandwidth_limit(50000000)
  lan:partition({ from = "c", to = "b" })
  t:assert(rtt(a, "c.lan") >= 60)
  comes("a round trip to b without the latency to c", function() return rtt(a, "b.lan") < 60 end)
  t:assert(not reaches(c, "b.lan"))
  local entry
  for _, one in ipairs(lan:impairments()) do if one.from == "a" and one.to == "c" then entry = one end end
  t:assert_eq(entry.latency_ms, 60)
  t:assert_eq(entry.bandwidth_bps, 50000000)
  lan:reset()
end)
