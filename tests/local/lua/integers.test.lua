-- Integers are 64-bit two's complement, exactly as in Lua 5.4.

test("literals, wrap-around and conversions keep 64 bits", function(t)
  t:assert_eq(0xffffffffffffffff, -1)
  t:assert_eq(math.maxinteger + 1, math.mininteger)
  t:assert_eq(math.maxinteger * 2, -2)
  t:assert_eq(tostring(1 << 63), "-9223372036854775808")
  t:assert_eq(tostring(0x9E3779B97F4A7C15), "-7046029254386353131")
  t:assert_eq(math.type(9223372036854775808), "float")
  t:assert_eq(tonumber("0x7fffffffffffffff"), math.maxinteger)
  t:assert_eq(math.tointeger(2.0 ^ 53), 1 << 53)
end)

test("division and modulo round to minus infinity", function(t)
  t:assert_eq(-7 // 2, -4)
  t:assert_eq(-7 % 2, 1)
  t:assert_eq(math.mininteger // -1, math.mininteger)
  t:assert_eq(math.mininteger % -1, 0)
  t:assert_eq(7 // 0.0, math.huge)
  t:assert_contains(select(2, pcall(function() return 1 // 0 end)), "attempt to divide by zero")
end)

test("shifts are logical and take any count", function(t)
  t:assert_eq(-1 >> 63, 1)
  t:assert_eq(1 << 64, 0)
  t:assert_eq(1 << -1, 0)
  t:assert_eq(~0 >> 4, 0x0fffffffffffffff)
end)

test("comparisons of integers with floats are exact", function(t)
  t:assert(math.maxinteger < 2.0 ^ 63)
  t:assert((1 << 53) + 1 > 2.0 ^ 53)
  t:assert((1 << 53) + 1 ~= 2.0 ^ 53)
  t:assert(math.ult(1, -1))
end)

test("for loops do not wrap", function(t)
  local n = 0
  for _ = math.maxinteger - 1, math.maxinteger do n = n + 1 end
  for _ = math.mininteger, math.mininteger + 1 do n = n + 1 end
  for _ = 1, 0 do n = n + 100 end
  t:assert_eq(n, 4)
end)

test("integers and equal floats are the same table key", function(t)
  local s = {}
  s[2 ^ 53] = "float"
  t:assert_eq(s[1 << 53], "float")
  s[math.maxinteger] = "max"
  t:assert_eq(s[math.maxinteger], "max")
  t:assert_eq(s[math.mininteger], nil)
end)

test("string.pack takes integers up to 16 bytes", function(t)
  t:assert_eq(string.pack(">I8", -2), "\xff\xff\xff\xff\xff\xff\xff\xfe")
  t:assert_eq(string.unpack("<j", string.pack("<j", math.mininteger)), math.mininteger)
  t:assert_eq(string.unpack("<i16", string.pack("<i16", -5)), -5)
  t:assert_eq(pcall(string.unpack, "<I16", ("\xff"):rep(16)), false)
  t:assert_eq(string.packsize("!8 i1 i8"), 16)
end)

test("math.random gives the sequence of the reference implementation", function(t)
  math.randomseed(42)
  t:assert_eq(math.random(0), -1276290044721465627)
  t:assert_eq(math.random(100), 50)
  t:assert_eq(math.random(1 << 40), 114416401740)
  t:assert_eq(math.random(), 0.79358935263827257)
end)
