-- What anybody in the guest can do to the port on which the agent waits for its host, over the guest kernel's loopback.

provium.timeout = "15m"

local AF_VSOCK <const>, SOCK_STREAM <const>, CID_LOCAL <const>, AGENT_PORT <const> = 40, 1, 1, 5123
local ADDRESS <const> = provium.pack("u16 u16 u32 u32 u32", AF_VSOCK, 0, AGENT_PORT, CID_LOCAL, 0)
local AT_ONCE <const> = 40
-- SO_VM_SOCKETS_CONNECT_TIMEOUT, a timeval. The 2 s that a kernel gives a connection may pass while a busy host keeps the guest still.
local CONNECT_TIMEOUT <const>, PATIENCE <const> = 6, provium.pack("u64 u64", 120, 0)

local vm = provium:vm("g", "minimal"):boot()
vm:run("grep -q '^vsock_loopback ' /proc/modules || modprobe vsock_loopback"):assert_ok()

-- What the queued calls returned, none of which may fail.
local function all(queue)
  local results = vm:batch(queue)
  for i, result in ipairs(results) do
    local answer = assert(result.ok, result.err)
    results[i] = answer.errno == 0 and answer.ret or -answer.errno
  end
  return results
end

local function connections()
  local fds = all(function(q)
    for _ = 1, AT_ONCE do q:syscall("socket", AF_VSOCK, SOCK_STREAM, 0) end
  end)
  all(function(q)
    for _, fd in ipairs(fds) do
      q:syscall("setsockopt", { args = { fd, AF_VSOCK, CONNECT_TIMEOUT, 0, #PATIENCE }, bufs = { PATIENCE }, ptrs = { 3 } })
    end
  end)
  local connected = all(function(q)
    for _, fd in ipairs(fds) do q:syscall("connect", { args = { fd, 0, #ADDRESS }, bufs = { ADDRESS }, ptrs = { 1 } }) end
  end)
  for _, ret in ipairs(connected) do assert(ret == 0, "a connection was refused: " .. ret) end
  return fds
end

local function close(fds)
  all(function(q)
    for _, fd in ipairs(fds) do q:syscall("close", fd) end
  end)
end

-- Descriptors of the agent's I/O process, the oldest of its name.
local function descriptors()
  return tonumber(vm:run("ls /proc/$(pidof provium-agent | tr ' ' '\\n' | sort -n | head -n 1)/fd | wc -l").stdout)
end

-- The agent looks for the address family at most a second apart: before it listens, a connection is refused.
vm:wait_until(function()
  local fd = vm:syscall("socket", AF_VSOCK, SOCK_STREAM, 0).ret
  local ret = vm:syscall("connect", { args = { fd, 0, #ADDRESS }, bufs = { ADDRESS }, ptrs = { 1 } }).ret
  vm:syscall("close", fd)
  return ret == 0
end, { timeout = "1m", desc = "an agent that listens" })

test("connections that are given up in every way leave no descriptor in the agent", function(t)
  local before = descriptors()
  local part = provium.pack("u32", 0x01000000) .. "\x94"
  local nonsense = "\xff\xff\xff\xff"
  for round = 1, 3 do
    local fds = connections()
    all(function(q)
      for i, fd in ipairs(fds) do
        local words = ({ part, nonsense })[i % 3]
        if words then q:syscall("write", { args = { fd, 0, #words }, bufs = { words }, ptrs = { 1 } }) end
      end
    end)
    -- Those of odd rounds are greeted and never read it.
    if round % 2 == 0 then
      local greeted = vm:syscall("read", { args = { fds[3], 0, 64 }, bufs = { ("\0"):rep(64) }, ptrs = { 1 } }).ret
      t:assert(greeted > 20, "a connection was not greeted")
    end
    close(fds)
  end
  vm:wait_until(function() return descriptors() <= before end, { timeout = "1m", desc = "the descriptors of before" })
end)
