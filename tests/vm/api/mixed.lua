-- mixed file, classic handles next to a lab bridge
local c = provium.create("minimal")
local n = provium:vm("n", "minimal")
assert(type(c:boot():syscall(39)) == "number")
assert(type(n:boot():syscall(39)) == "table")
