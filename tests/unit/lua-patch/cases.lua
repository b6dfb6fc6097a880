-- Pseudo-random cases over what a Lua program computes with. Run by two implementations with the same arguments, the
-- output must be the same: `cases.lua <first block> <blocks>` prints one hash a block of 1,000 cases;
-- `cases.lua <block>` prints each case of that block.
local first, blocks = tonumber(arg[1]), tonumber(arg[2])
local CASES = 1000

local state
local function rnd()
  state = state ~ (state << 13)
  state = state ~ (state >> 7)
  state = state ~ (state << 17)
  return state
end
local function below(n)
  return (rnd() >> 1) % n
end
local function oneof(t)
  return t[below(#t) + 1]
end

local edges = { 0, 1, -1, 2, -2, 3, 7, -7, 10, 255, 256, 1 << 31, (1 << 31) - 1, -(1 << 31), 1 << 32, (1 << 53) - 1,
  1 << 53, (1 << 53) + 1, -(1 << 53), -(1 << 53) - 1, -(1 << 53) + 1, math.maxinteger, math.mininteger,
  math.maxinteger - 1, math.mininteger + 1, 0xffffffff, 0xffffffff00000000, 1 << 52, 1 << 62, -(1 << 62) }
local floats = { 0.0, -0.0, 0.5, -0.5, 1.0, 1e15, 1e16, 1e100, -1e100, 1e308, 5e-324, 2.0 ^ 53, 2.0 ^ 63, -(2.0 ^ 63),
  2.0 ^ 64, 0.1, 1 / 3, 1e-5, 123456.789, 9007199254740993.0, math.huge, -math.huge, 1e14, 99999999999999.5 }

local function int()
  local k = below(8)
  if k < 2 then return oneof(edges) end
  if k == 2 then return rnd() end
  if k == 3 then return rnd() >> 32 end
  if k == 4 then return rnd() >> 11 end
  if k == 5 then return below(1000) - 500 end
  return rnd() >> below(64)
end
local function float()
  local k = below(5)
  if k == 0 then return oneof(floats) end
  if k == 1 then return (below(2000) - 1000) / 8 end
  if k == 2 then return int() + 0.0 end
  local f = string.unpack("<d", string.pack("<j", rnd()))
  if f ~= f then return 0.25 end
  return f
end
local function num()
  if below(2) == 0 then return int() end
  return float()
end

local letters = "abcABC019 _-%.[]()+*?^$\0\n\t\x80\xff{}xz"
local function str(max)
  local n = below(max or 12)
  local t = {}
  for i = 1, n do
    local at = below(#letters) + 1
    t[i] = letters:sub(at, at)
  end
  return table.concat(t)
end
local function plain(max)
  local n = below(max or 12)
  local t = {}
  for i = 1, n do t[i] = string.char(97 + below(3)) end
  return table.concat(t)
end

local show
function show(v)
  if v ~= v then return "nan" end
  if math.type(v) == "float" then return string.format("%.14g|%a", v, v) end
  if type(v) == "string" then return string.format("%q", v) end
  if type(v) == "function" then return "function" end
  if type(v) == "table" then
    local t = {}
    for i = 1, #v do t[i] = show(v[i]) end
    return "{" .. table.concat(t, ",") .. "}"
  end
  return tostring(v)
end

-- Results of a call as text; the error message where it fails.
local function try(f, ...)
  local r = table.pack(pcall(f, ...))
  if not r[1] then
    -- Releases of Lua 5.4 differ in the number of an argument here and there.
    return "error " .. tostring(r[2]):gsub("^[^:]*:%d+: ", ""):gsub("argument #%d", "argument")
  end
  local t = {}
  for i = 2, r.n do t[i - 1] = show(r[i]) end
  return table.concat(t, " ")
end

local arithmetic = {
  function(a, b) return a + b end, function(a, b) return a - b end, function(a, b) return a * b end,
  function(a, b) return a / b end, function(a, b) return a // b end, function(a, b) return a % b end,
  function(a, b) return a & b end, function(a, b) return a | b end, function(a, b) return a ~ b end,
  function(a, b) return a << b end, function(a, b) return a >> b end, function(a) return -a end,
  function(a) return ~a end, function(a, b) return a << (b % 70) end, function(a, b) return a >> (b % 70) end,
}
local comparison = {
  function(a, b) return a < b end, function(a, b) return a <= b end, function(a, b) return a == b end,
  function(a, b) return a > b end, function(a, b) return a >= b end, function(a, b) return a ~= b end,
  function(a, b) return math.ult(a, b) end,
}
local mathematics = {
  math.abs, math.ceil, math.floor, math.tointeger, math.type, math.fmod, math.modf, math.max, math.min,
  function(a) return math.sqrt(math.abs(a)) end, tostring,
  function(a) return tonumber(tostring(a)) end, function(a, b) return string.format("%d", a) end,
}
local integers = { "%d", "%5d", "%-8d|", "%+d", "% d", "%05d", "%.3d", "%x", "%#x", "%X", "%o", "%#o", "%20.10d", "%i",
  "%c", "%-5c", "%08x", "%u" }
local reals = { "%f", "%.3f", "%10.2f", "%-12.1f|", "%e", "%.0e", "%#.0f", "%g", "%.3g", "%#g", "%+.5e", "%a", "%.14g",
  "%.17g", "%G", "%E", "%A", "% f", "%020.3f", "%.99f" }
local strings = { "%s", "%10s", "%-10s|", "%.3s", "%10.2s", "%q", "%5s" }
local malformed = { "%", "%y", "%10", "%123d", "%.123f", "%0-+ #d", "%#i", "%+x", "%0s", "%.5c", "%-#5s", "%5q", "%ll",
  "%.5p", "%1000d", "%-+ #0-+ #0-+ #0-+ #0d" }
local packs = { "b", "B", "h", "H", "i4", "I4", "j", "J", "i3", "I3", "i7", "I7", "i8", "I8", "i16", "I12", "l", "T", "d", "n",
  "f" }
local unpacks = { "<b", ">B", "<h", ">H", "<i4", ">I4", "<j", ">j", "<i3", ">I5", "<i7", ">I7", "<s1", ">s2", "z", "<d",
  ">f", "!4 i1 i4", "!8 b Xi8 i8", "c3", "<i16", ">I9", "x b", "i0", "i17", "!3 i4", "q", "c", "Xb", "X" }
local patterns = { "a", "%a+", "%d*", "(a)(b)", "(%w+)%s*(%w*)", "^a", "b$", "[abc]+", "[^a]", "%b()", "%f[%w]%w+", "a-b",
  "a.?c", ".-", "()a()", "[a-c%d]", "%s", "%S+", "%%", "(a*(.)%w(%s*))", "[]]", "[%]]", "[a-]", "%p+", "x*", "(.)%1", "%c",
  "%x+", "%u", "%l", "a*%f[a]", "(()", "%", "[a", "%f", "%b", "(a", "a)", "%9", "[%a-z]", "^", "$", "%z", "[\0-\xff]" }
local replacements = { "x", "%0%0", "%1", "<%1>", "%%", "", "%2", "%x", "%" }

local kinds = {
  function() return try(oneof(arithmetic), num(), num()) end,
  function() return try(oneof(arithmetic), int(), int()) end,
  function() return try(oneof(comparison), num(), num()) end,
  function() return try(oneof(comparison), str(), str()) end,
  function() return try(oneof(mathematics), num(), num()) end,
  function() return try(string.format, oneof(integers), int()) end,
  function() return try(string.format, oneof(reals), float()) end,
  function() return try(string.format, oneof(strings), below(2) == 0 and str(20) or num()) end,
  function() return try(string.format, oneof(malformed), below(2) == 0 and below(100) or "abc") end,
  function()
    local f = oneof({ "<", ">", "=", "!4>", "!8<" }) .. oneof(packs)
    local v = below(3) == 0 and float() or int()
    return f .. try(function() local s = string.pack(f, v) return s, string.unpack(f, s) end)
  end,
  function() return try(string.unpack, oneof(unpacks), str(24), below(6) - 1) end,
  function()
    local f = oneof({ "<s1", ">s4", "z", "c10", "s", "!4 s2" })
    return try(string.pack, f, str(16))
  end,
  function() return try(string.packsize, oneof(unpacks) .. oneof(packs)) end,
  function() return try(string.find, below(2) == 0 and str(20) or plain(20), oneof(patterns), below(8) - 3) end,
  function() return try(string.match, below(2) == 0 and str(20) or plain(20), oneof(patterns)) end,
  function() return try(string.gsub, below(2) == 0 and str(20) or plain(20), oneof(patterns), oneof(replacements)) end,
  function() return try(string.find, str(20), str(2), 1, true) end,
  function()
    return try(function()
      local t = {}
      for a, b in string.gmatch(plain(20), oneof(patterns)) do
        t[#t + 1] = a
        t[#t + 1] = b or "-"
      end
      return t
    end)
  end,
  function()
    local a, b = num(), num()
    return try(function()
      local t = {}
      t[a] = 1
      t[b] = 2
      t[a + 0.0] = (t[a + 0.0] or 0) + 10
      return t[a], t[b], t[a + 0.0] == t[a]
    end)
  end,
  function()
    local t, next = {}, 0
    for _ = 1, below(30) do
      local k = below(3)
      if k == 0 then
        next = next + 1
        t[next] = below(10)
      elseif k == 1 then t[below(12)] = below(10) else t[below(12)] = nil end
    end
    local s, n = 0, 0
    for k, v in pairs(t) do
      n = n + 1
      s = s + k * 31 + v
    end
    return show({ s, n, t[1] or 0, t[#t + 1] == nil, #t == 0 or t[#t] ~= nil })
  end,
  function()
    local a, b, s = int(), int(), (rnd() >> 34) + 1
    if below(2) == 0 then s = -s end
    if below(3) == 0 then a = a + 0.0 end
    return try(function()
      local n, last = 0, nil
      for i = a, b, s do
        n = n + 1
        last = i
        if n > 5 then break end
      end
      return n, last
    end)
  end,
  function()
    local s = oneof({ "%d", "0x%x", " %d ", "%.14g", "%a", "%d.", ".%d", "%de5", "0x%xp3", "%dx", "1e%d", "- %d", "%de" })
    return try(function() return tonumber(s:format(below(4) == 0 and below(100) or int())) end)
  end,
  function() return try(tonumber, plain(8), below(40)) end,
  function() return try(tonumber, string.format("%x", int()), 16) end,
  function() return try(function(a, b) return a .. b, #(a .. b) end, num(), num()) end,
  function() return try(string.rep, str(4), below(5), str(3)) end,
  function() return try(string.sub, str(16), int() >> below(64), int()) end,
  function() return try(string.sub, str(16), below(20) - 10, below(20) - 10) end,
  function() return try(string.byte, str(8), below(10) - 5, below(10) - 5) end,
  function() return try(utf8.char, below(0x7fffffff) >> below(31)) end,
  function() return try(utf8.codepoint, utf8.char(below(0x110000), below(0x7fffffff)), 1, -1, below(2) == 0) end,
  function() return try(utf8.len, str(8), below(5) - 2, -1, below(2) == 0) end,
  function() return try(utf8.offset, "aé漢𝄞z", below(9) - 4, below(12) - 2) end,
  function()
    local t = {}
    for i = 1, below(20) do t[i] = below(3) == 0 and float() or int() end
    return try(function()
      table.sort(t)
      return t
    end)
  end,
  function()
    local t = {}
    for i = 1, 6 do t[i] = below(10) end
    return try(function() return table.concat(t, ",", below(8) - 1, below(8)), table.unpack(t, below(4), below(7)) end)
  end,
  function()
    local t = { 1, 2, 3, 4, 5 }
    return try(function()
      table.insert(t, below(8), below(100))
      local x = table.remove(t, below(8))
      table.move(t, below(4), below(6), below(6) + 1)
      return x, t[1], t[2], t[3], t[4], t[5], t[6], t[7]
    end)
  end,
  function()
    local seed = rnd()
    math.randomseed(seed, rnd())
    local lo = below(100)
    local hi = lo + below(1 << 40)
    return show({ math.random(), math.random(0), math.random(lo, hi), math.random(below(50) + 1), math.random(-hi, hi) })
  end,
  function()
    return try(load, "return " .. oneof({ "0x", "", "1e", "-", "0x.", "~", "not ", "#" }) .. string.format("%d", below(99999)) ..
      oneof({ "", ".5", "e3", "p4", "x", "..2", "//0", "%0", "<<65", "ULL" }))
  end,
  function()
    local code = "return " .. oneof({ "0x", "", "1e", "-", "0x.", "~", "not " }) .. string.format("%d", below(99)) ..
      oneof({ "", ".5", "e3", "p4", " ..2", "//7", "%7", "<<65", ">>3", "^2" })
    return try(function() return (load(code) or tostring)() end)
  end,
}

local function run(block, each)
  state = 0x9E3779B97F4A7C15 ~ (block * 0xD1342543DE82EF95 + 1)
  for _ = 1, 10 do rnd() end
  for i = 1, CASES do each(i, kinds[below(#kinds) + 1]()) end
end

if blocks then
  for block = first, first + blocks - 1 do
    local h = 0
    run(block, function(_, text)
      for i = 1, #text do h = (h * 31 + text:byte(i)) & 0xffffffffffff end
    end)
    print(block, h)
  end
else
  run(first, function(i, text) print(i, text) end)
end
