-- provium.pcap reads a capture: here one made by hand.

local function word(...) return string.pack("<" .. string.rep("I4", select("#", ...)), ...) end

local HEADER = word(0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1)
local PING = "\x52\x54\0\0\0\2\x52\x54\0\0\0\1\8\0"
  .. "\x45\0\0\29\0\7\0\0\64\1\x66\xd3\10\0\0\1\10\0\0\2"
  .. "\8\0\x86\xfb\0\3\0\1\x71"

local function record(seconds, micros, frame)
  return word(seconds, micros, #frame, #frame) .. frame
end

test("packets have a time and a table for each layer", function(t)
  local packets, rest = provium.pcap(HEADER .. record(1700000000, 250000, PING))
  t:assert_eq(#packets, 1)
  t:assert_eq(rest, "")
  local p = packets[1]
  t:assert_eq(p.time, 1700000000.25)
  t:assert_eq(p.time_ns, 1700000000250000000)
  t:assert_eq(p.length, #PING)
  t:assert_eq(p.data, PING)
  t:assert_eq(p.eth.src, "52:54:00:00:00:01")
  t:assert_eq(p.eth.type, 0x0800)
  t:assert_eq(#p.eth.vlans, 0)
  t:assert_eq(p.ip.src, "10.0.0.1")
  t:assert_eq(p.ip.dst, "10.0.0.2")
  t:assert_eq(p.icmp.type, 8)
  t:assert_eq(p.icmp.id, 3)
  t:assert_eq(p.payload, "q")
  t:assert_eq(p.tcp, nil)
  t:assert_eq(p.malformed, nil)
end)

test("a stream is read piece by piece: what is left over goes in front of what comes", function(t)
  local whole = HEADER .. record(1, 0, PING) .. record(2, 0, PING)
  local packets, rest = provium:pcap(whole:sub(1, -10))
  t:assert_eq(#packets, 1)
  t:assert_eq(rest, record(2, 0, PING):sub(1, -10))
  packets = provium.pcap(HEADER .. rest .. whole:sub(-9))
  t:assert_eq(packets[1].time, 2.0)
end)

test("what is no capture is refused with a reason", function(t)
  local ok, message = pcall(provium.pcap, "GIF89a, which is something else")
  t:assert_eq(ok, false)
  t:assert_contains(tostring(message), "no classic capture begins with 47494638")
  ok, message = pcall(provium.pcap)
  t:assert_contains(tostring(message), "bytes: string expected, got no value")
end)
