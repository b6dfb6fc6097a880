-- A DHCP server written here, over a packet socket of one machine, gives an address to busybox udhcpc in another.
local server = provium:vm("server", "default", { memory = "128M" })
local client = provium:vm("client", "default", { memory = "128M" })
local lan = provium:bridge("lan", { addressing = "none" })
lan:attach({ server, client })
provium:boot()

local AF_PACKET, SOCK_RAW, ETH_P_IP = 17, 3, 0x0800
local DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
local OWN, GIVEN, MASK, DNS = "192.0.2.1", "192.0.2.77", "255.255.255.0", "192.0.2.53"

local function ip(text)
  return string.char(text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$"))
end

local function checksum(data)
  local sum = 0
  for at = 1, #data, 2 do sum = sum + (">I2"):unpack(data:sub(at, at + 1) .. "\0") end
  while sum > 0xffff do sum = (sum & 0xffff) + (sum >> 16) end
  return ~sum & 0xffff
end

local function udp_frame(to, from, body)
  local udp = (">I2I2I2I2"):pack(67, 68, 8 + #body, 0) .. body
  local function header(sum)
    return (">BBI2I2I2BBI2"):pack(0x45, 0, 20 + #udp, 1, 0, 64, 17, sum) .. ip(OWN) .. ip("255.255.255.255")
  end
  return to .. from .. (">I2"):pack(ETH_P_IP) .. header(checksum(header(0))) .. udp
end

-- RFC 2131: the fixed part, the magic cookie, then options of code, length, value.
local function parse(message)
  if #message < 240 or message:sub(237, 240) ~= "\x63\x82\x53\x63" then return nil end
  local found = { xid = message:sub(5, 8), mac = message:sub(29, 34), options = {} }
  local at = 241
  while at <= #message and message:byte(at) ~= 255 do
    local code = message:byte(at)
    if code == 0 then
      at = at + 1
    else
      found.options[code], at = ("s1"):unpack(message, at + 1)
    end
  end
  found.kind = found.options[53] and found.options[53]:byte()
  return found
end

local function answer(to, kind)
  local options = { [53] = string.char(kind), [54] = ip(OWN), [51] = (">I4"):pack(3600), [1] = ip(MASK), [6] = ip(DNS) }
  local body = string.char(2, 1, 6, 0) .. to.xid .. ("\0"):rep(8) .. ip(GIVEN) .. ip(OWN) .. ("\0"):rep(4)
    .. to.mac .. ("\0"):rep(10 + 64 + 128) .. "\x63\x82\x53\x63"
  for code, value in pairs(options) do body = body .. string.char(code) .. ("s1"):pack(value) end
  return body .. "\xff"
end

local function text_mac(mac)
  return (("%02x:"):rep(6)):format(mac:byte(1, 6)):sub(1, -2)
end

test("udhcpc gets its address from a server over a packet socket", function(t)
  -- Without addressing nobody waits for the interfaces but us.
  for _, vm in ipairs({ server, client }) do
    vm:wait_until(function() return vm:run("ip link set eth0 up"):ok() end, { timeout = "60s", desc = "eth0" })
  end
  local index = tonumber(server:read_file("/sys/class/net/eth0/ifindex"))
  local own = server:read_file("/sys/class/net/eth0/address"):gsub("[^%x]", ""):gsub("%x%x", function(byte)
    return string.char(tonumber(byte, 16))
  end)

  local network_order = (ETH_P_IP & 0xff) << 8 | ETH_P_IP >> 8
  local fd = server:syscall("socket", AF_PACKET, SOCK_RAW, network_order).ret
  t:assert(fd >= 0, "a packet socket")
  local address = ("<I2"):pack(AF_PACKET) .. (">I2"):pack(ETH_P_IP) .. ("<i4"):pack(index) .. ("\0"):rep(12)
  t:assert_eq(server:syscall("bind", { args = { fd, 0, #address }, bufs = { address }, ptrs = { 1 } }).ret, 0)

  local capture = lan:capture()
  local udhcpc = client:run_async("udhcpc -f -q -n -i eth0 -t 20 -T 2 -A 1")
  local served = {}
  while served[#served] ~= ACK do
    local call = server:syscall_async("recvfrom", {
      args = { fd, 0, 2048, 0, 0, 0 }, bufs = { ("\0"):rep(2048) }, ptrs = { 1 },
    })
    local got = call:await("60s")
    local frame = got.out_bufs[1]:sub(1, got.ret)
    local ports = #frame > 42 and frame:byte(24) == 17 and frame:sub(35, 38)
    local message = ports == (">I2I2"):pack(68, 67) and parse(frame:sub(43))
    local kind = message and ({ [DISCOVER] = OFFER, [REQUEST] = ACK })[message.kind]
    if kind then
      t:assert_eq(text_mac(message.mac), lan:nic(client):mac())
      local reply = udp_frame(message.mac, own, answer(message, kind))
      local sent = server:syscall("write", { args = { fd, 0, #reply }, bufs = { reply }, ptrs = { 1 } })
      t:assert_eq(sent.ret, #reply)
      served[#served + 1] = kind
    end
  end
  t:assert_eq(served[1], OFFER)
  t:assert_eq(udhcpc:wait("60s").exit_code, 0)

  t:assert_contains(client:run("ip -4 addr show eth0").stdout, GIVEN .. "/24")
  t:assert_contains(client:read_file("/etc/resolv.conf"), "nameserver " .. DNS)
  server:run("ip addr add " .. OWN .. "/24 dev eth0"):assert_ok()
  client:run("ping -c 1 -W 20 " .. OWN):assert_ok()

  -- A client that has to wait asks once more: only the first of each kind counts.
  local kinds, seen = {}, {}
  for _, packet in ipairs(provium.pcap(capture:bytes())) do
    local dhcp = packet.udp and (packet.udp.dst_port == 67 or packet.udp.dst_port == 68) and parse(packet.payload)
    if dhcp and not seen[dhcp.kind] then
      seen[dhcp.kind] = true
      kinds[#kinds + 1] = dhcp.kind
    end
  end
  t:assert_eq(table.concat(kinds, " "), "1 2 3 5")
end)
