-- A system call that must succeed. Buffers go to the slots that are their keys, counted from 0; returned are the
-- kernel's value and the buffers after the call, in the order of the slots.
return function(who, name, args, bufs)
  local slots, request = {}, { args = args, bufs = {}, ptrs = {} }
  for slot in pairs(bufs or {}) do slots[#slots + 1] = slot end
  table.sort(slots)
  for i, slot in ipairs(slots) do
    request.bufs[i], request.ptrs[i] = bufs[slot], slot
  end
  local r = who:syscall(name, request)
  if r.errno ~= 0 then error(name .. ": errno " .. r.errno, 2) end
  return r.ret, table.unpack(r.out_bufs)
end
