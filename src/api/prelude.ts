/**
 * What is best written in Lua itself. The chunk gets the binding behind `assert_ok` and returns the function that
 * makes exec results.
 */

export const PRELUDE_NAME = "provium prelude";

export const PRELUDE = `
local assert_ok = ...
local string, select, setmetatable, type, error = string, select, setmetatable, type, error

-- Strings everywhere also serve as the output wrappers of the classic API: s.value, s.contains("x"),
-- s:contains("x"), s.trim(). A dot call is told from a colon call by its number of arguments.
local find, sub, byte, format = string.find, string.sub, string.byte, string.format
local function text(value, call)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return value .. "" end
  error(format("bad argument #1 to '%s' (string expected, got %s)", call, kind), 3)
end
local extra = {
  contains = { 1, function(s, needle) return find(s, text(needle, "contains"), 1, true) ~= nil end },
  starts_with = { 1, function(s, prefix)
    prefix = text(prefix, "starts_with")
    return sub(s, 1, #prefix) == prefix
  end },
  trim = { 0, function(s)
    local from = find(s, "%S")
    if not from then return "" end
    local to = #s
    while find(s, "^%s", to) do to = to - 1 end
    return sub(s, from, to)
  end },
}
getmetatable("").__index = function(s, key)
  local method = string[key]
  if method ~= nil then return method end
  if key == "value" then return s end
  local more = extra[key]
  if more then
    local arity, call = more[1], more[2]
    return function(...)
      if select("#", ...) > arity then return call(...) end
      return call(s, ...)
    end
  end
end

local result = { __index = { assert_ok = assert_ok } }
return function(fields) return setmetatable(fields, result) end
`;
