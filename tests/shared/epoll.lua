-- struct epoll_event, which is packed on x86-64 alone.
local pack, unpack = provium.pack, provium.unpack

return function(vm)
  local packed = vm:arch() == "x86_64"
  local size = packed and 12 or 16
  return {
    --- The bytes of one event.
    event = function(events, tag) return packed and pack("u32 u64", events, tag) or pack("u32 u32 u64", events, 0, tag) end,
    --- Room for so many of them.
    room = function(count) return ("\0"):rep(count * size) end,
    --- The tag of the nth event in the kernel's answer.
    tag = function(bytes, n) return unpack("u64", bytes:sub(n * size - 7, n * size)) end,
  }
end
