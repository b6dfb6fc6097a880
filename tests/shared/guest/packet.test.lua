--!provium lab
-- Frames from the wire: AF_PACKET in a network namespace of a worker.
local vm = provium:vm("packet", "default"):boot()
local test = require("tests.shared.clean")(vm)
local call = require("tests.shared.call")
local pack, unpack = provium.pack, provium.unpack

local NEWNET, AF_INET, AF_PACKET, DGRAM, RAW = 0x40000000, 2, 17, 2, 3
local SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
local ALL = 0x0300 -- ETH_P_ALL in network order
local OUTGOING = 4

--- A worker with a network of its own in which `lo` is up, and a datagram socket there.
local function networked()
  local w = vm:spawn_worker()
  call(w, "unshare", { NEWNET })
  local fd = call(w, "socket", { AF_INET, DGRAM, 0 })
  local function request(flags) return string.pack("<z", "lo") .. ("\0"):rep(13) .. pack("i16", flags) .. ("\0"):rep(22) end
  local r = w:ioctl(fd, SIOCGIFFLAGS, request(0))
  assert(r.errno == 0, "SIOCGIFFLAGS: errno " .. r.errno)
  local flags = unpack("i16", r.out_data:sub(17, 18))
  assert(flags & IFF_UP == 0, "lo of a new namespace is up")
  assert(w:ioctl(fd, SIOCSIFFLAGS, request(flags | IFF_UP)).errno == 0)
  return w, fd
end

local function sniffer(w)
  local fd = call(w, "socket", { AF_PACKET, RAW, ALL })
  call(w, "bind", { fd, 0, 20 }, { [1] = pack("u16 u16 i32 u16 u8 u8 u64", AF_PACKET, ALL, 1, 0, 0, 0, 0) })
  return fd
end

local function send(w, fd, port, data)
  local to = pack("u16", AF_INET) .. string.pack(">I2", port) .. "\127\0\0\1" .. ("\0"):rep(8)
  call(w, "sendto", { fd, 0, #data, 0, 0, 16 }, { [1] = data, [4] = to })
end

--- The next frame, and whether it was on its way out or in.
local function frame(w, fd)
  local n, data, from = call(w, "recvfrom", { fd, 0, 2048, 0, 0, 0 },
    { [1] = ("\0"):rep(2048), [4] = ("\0"):rep(20), [5] = pack("u32", 20) })
  return data:sub(1, n), from:byte(11)
end

--- One frame as the only packet of a capture, dissected.
local function dissected(data)
  local head = pack("u32 u16 u16 i32 u32 u32 u32", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
  return provium.pcap(head .. pack("u32 u32 u32 u32", 0, 0, #data, #data) .. data)[1]
end

test("a packet socket sees a datagram leave and arrive", function(t)
  local w, udp = networked()
  local tap = sniffer(w)
  send(w, udp, 4242, "over the wire")
  local out, direction = frame(w, tap)
  t:assert_eq(direction, OUTGOING)
  local packet = dissected(out)
  t:assert_eq(packet.udp.dst_port, 4242)
  t:assert_eq(packet.payload, "over the wire")
  local back, inward = frame(w, tap)
  t:assert(inward ~= OUTGOING)
  t:assert_eq(back, out)
  -- Nobody listens on that port: the kernel says so with ICMP.
  t:assert_eq(dissected((frame(w, tap))).icmp.type, 3)
end)

test("a frame made by hand reaches a socket that listens", function(t)
  local w, udp = networked()
  -- A frame from outside may otherwise not claim to be from 127.0.0.1.
  for _, key in ipairs { "route_localnet", "accept_local" } do w:write_file("/proc/sys/net/ipv4/conf/all/" .. key, "1") end
  local tap = sniffer(w)
  local server = call(w, "socket", { AF_INET, DGRAM, 0 })
  call(w, "bind", { server, 0, 16 }, { [1] = pack("u16", AF_INET) .. string.pack(">I2", 7000) .. "\127\0\0\1" .. ("\0"):rep(8) })
  send(w, udp, 7000, "pattern")
  local made = frame(w, tap):gsub("pattern", "by hand")
  call(w, "recvfrom", { server, 0, 64, 0, 0, 0 }, { [1] = ("\0"):rep(64) })
  -- The checksum does not fit any more; a receiver ignores one of zero.
  made = made:sub(1, 40) .. "\0\0" .. made:sub(43)
  local to = pack("u16 u16 i32 u16 u8 u8 u64", AF_PACKET, 0x0008, 1, 0, 0, 6, 0)
  call(w, "sendto", { tap, 0, #made, 0, 0, 20 }, { [1] = made, [4] = to })
  local n, data = call(w, "recvfrom", { server, 0, 64, 0, 0, 0 }, { [1] = ("\0"):rep(64) })
  t:assert_eq(data:sub(1, n), "by hand")
end)

test("what goes on in one network namespace is not seen in another", function(t)
  local a, udp = networked()
  local b = networked()
  local tap = sniffer(b)
  send(a, udp, 4242, "private")
  local MSG_DONTWAIT, EAGAIN = 0x40, 11
  local r = b:syscall("recvfrom", { args = { tap, 0, 64, MSG_DONTWAIT, 0, 0 }, bufs = { ("\0"):rep(64) }, ptrs = { 1 } })
  t:assert_eq(r.errno, EAGAIN)
end)
