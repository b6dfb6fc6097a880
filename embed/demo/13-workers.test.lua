-- Several tasks inside one guest: each worker is a process or thread with credentials of its own.

local guest = provium:vm("guest", "default"):boot()
local LOCK_EX, LOCK_UN, AT_FDCWD = 2, 8, -100

test("a thread gives up root, and its task does not", function(t)
  local nobody = guest:spawn_worker({ thread = true })
  nobody:syscall("setresuid", 65534, 65534, 65534)
  t:assert_eq(nobody:syscall("getuid").ret, 65534)
  t:assert_eq(nobody:run("id -u").stdout, "65534\n")
  t:assert_eq(guest:syscall("getuid").ret, 0)
end)

test("a lock really makes the other one wait", function(t)
  guest:write_file("/tmp/lock", "")
  local function locker()
    local worker = guest:spawn_worker()
    local fd = worker:syscall("openat", { args = { AT_FDCWD, 0, 2, 0 }, bufs = { "/tmp/lock\0" }, ptrs = { 1 } }).ret
    return function(operation) return worker:syscall("flock", fd, operation).ret end
  end
  local first, second = locker(), locker()
  local order = {}
  first(LOCK_EX)
  provium:parallel(
    function()
      provium:barrier("both", 2)
      second(LOCK_EX) -- blocks in the guest's kernel
      order[#order + 1] = "second"
    end,
    function()
      provium:barrier("both", 2)
      order[#order + 1] = "first"
      first(LOCK_UN)
    end
  )
  t:assert_eq(table.concat(order, ", "), "first, second")
end)

test("a call that blocks goes on beside the test", function(t)
  local nap = guest:syscall_async("nanosleep", {
    args = { 0, 0 }, bufs = { provium.pack("i64 i64", 0, 50000000) }, ptrs = { 0 },
  })
  t:assert(guest:run("true"):ok())
  t:assert_eq(nap:await("5s").ret, 0)
end)
