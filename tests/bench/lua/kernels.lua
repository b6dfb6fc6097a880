-- Kernels of the Lua bench: `kernels.lua NAME` prints the best of eight times, in processor seconds. The compilers of
-- the JavaScript engine work beside the first ones and are counted with them: what is shorter measures those.
local kernels = {}

function kernels.integer_loop()
  local s = 0
  for i = 1, 5000000 do s = (s * 31 + i) % 1000003 end
  return s
end

function kernels.table_fill_and_read()
  for _ = 1, 3 do
    local a = {}
    for i = 1, 1000000 do a[i] = i end
    local s = 0
    for i = 1, #a do s = s + a[i] end
  end
end

function kernels.string_building()
  local parts = {}
  for i = 1, 65536 do parts[#parts + 1] = "0123456789abcdef" end
  local s = table.concat(parts)
  local n = 0
  for i = 1, #s do n = n + s:byte(i) end
  local c = ""
  for i = 1, 5000 do c = c .. "x" .. i end
end

local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end
function kernels.fib_32() return fib(32) end

function kernels.u64_arithmetic()
  local x = 0x9E3779B97F4A7C15
  for i = 1, 300000 do
    x = x ~ (x << 13)
    x = x ~ (x >> 7)
    x = x ~ (x << 17)
    x = x * 31 + i
  end
end

function kernels.pack_100000_structs()
  for i = 1, 100000 do
    local s = string.pack("<I4I2I2I8", i, i & 0xffff, 3, i * 1000)
    local a, b, c, d = string.unpack("<I4I2I2I8", s)
  end
end

function kernels.methods()
  local C = {}
  C.__index = C
  function C.add(self, n)
    self.v = self.v + n
    return self
  end
  local o = setmetatable({ v = 0 }, C)
  for i = 1, 1000000 do o:add(i) end
end

function kernels.closures()
  local s = 0
  for i = 1, 1000000 do
    local f = function() return i end
    s = s + f()
  end
end

function kernels.string_keys()
  local h = {}
  for i = 1, 100000 do h["k" .. i] = i end
  local s = 0
  for _, v in pairs(h) do s = s + v end
end

function kernels.coroutines()
  local co = coroutine.wrap(function()
    for i = 1, 300000 do coroutine.yield(i) end
  end)
  for i = 1, 300000 do co() end
end

if arg[1] == nil then
  local names = {}
  for name in pairs(kernels) do names[#names + 1] = name end
  table.sort(names)
  print(table.concat(names, "\n"))
  return
end

local best = math.huge
for _ = 1, 8 do
  local from = os.clock()
  kernels[arg[1]]()
  best = math.min(best, os.clock() - from)
end
print(string.format("%.4f", best))
