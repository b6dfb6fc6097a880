--!provium lab
-- io_uring(7): requests that go through shared memory instead of system calls.
local vm = provium:vm("uring", "default"):boot()
local test = require("tests.shared.clean")(vm)
local call = require("tests.shared.call")
local pack, unpack = provium.pack, provium.unpack

local AT_FDCWD = -100
local READ, WRITE, SHARED, ENOSYS, EPERM = 1, 2, 1, 38, 1
local SQ_RING, CQ_RING, SQES = 0, 0x8000000, 0x10000000
local NOP, OP_READ, OP_WRITE, GETEVENTS = 0, 22, 23, 1

local Ring = {}
Ring.__index = Ring

--- A ring of `entries` in the worker, or nil and the errno where the kernel has none.
function Ring.new(w, entries)
  local r = w:syscall("io_uring_setup", { args = { entries, 0 }, bufs = { ("\0"):rep(120) }, ptrs = { 1 } })
  if r.errno ~= 0 then return nil, r.errno end
  local params = r.out_bufs[1]
  local function at(offset) return unpack("u32", params:sub(offset + 1, offset + 4)) end
  local self = setmetatable({
    w = w, fd = r.ret, entries = at(0),
    sq = { head = at(40), tail = at(44), mask = at(48), array = at(64) },
    cq = { head = at(80), tail = at(84), mask = at(88), cqes = at(100) },
    scratch = call(w, "memfd_create", { 0, 0 }, { [0] = "scratch\0" }),
  }, Ring)
  local function map(size, offset) return call(w, "mmap", { 0, size, READ | WRITE, SHARED, self.fd, offset }) end
  self.sq.base = map(self.sq.array + self.entries * 4, SQ_RING)
  self.cq.base = map(self.cq.cqes + at(4) * 16, CQ_RING)
  self.sqes = map(self.entries * 64, SQES)
  return self
end

--- Writes into the worker's memory: what read(2) puts there.
function Ring:poke(address, data)
  call(self.w, "pwrite64", { self.scratch, 0, #data, 0 }, { [1] = data })
  call(self.w, "pread64", { self.scratch, address, #data, 0 })
end

function Ring:word(address) return unpack("u32", (self.w:read_mem(address, 4))) end

function Ring:queue(op, fd, offset, address, length, tag)
  local tail = self:word(self.sq.base + self.sq.tail)
  local index = tail & self:word(self.sq.base + self.sq.mask)
  self:poke(self.sqes + index * 64, pack("u8 u8 u16 i32 u64 u64 u32 u32 u64", op, 0, 0, fd, offset, address, length, 0, tag) .. ("\0"):rep(24))
  self:poke(self.sq.base + self.sq.array + index * 4, pack("u32", index))
  self:poke(self.sq.base + self.sq.tail, pack("u32", tail + 1))
end

function Ring:submit(count, wanted)
  return call(self.w, "io_uring_enter", { self.fd, count, wanted, GETEVENTS, 0, 0 })
end

--- The completions that are there, as result by tag; they count as taken.
function Ring:completions()
  local head, tail = self:word(self.cq.base + self.cq.head), self:word(self.cq.base + self.cq.tail)
  local mask, results = self:word(self.cq.base + self.cq.mask), {}
  while head ~= tail do
    local tag, result = unpack("u64 i32", (self.w:read_mem(self.cq.base + self.cq.cqes + (head & mask) * 16, 12)))
    results[tag] = result
    head = head + 1
  end
  self:poke(self.cq.base + self.cq.head, pack("u32", head))
  return results
end

local function ring(t, entries)
  local made, errno = Ring.new(vm:spawn_worker(), entries)
  if errno == ENOSYS then t:skip("this kernel is built without io_uring") end
  if errno == EPERM then t:skip("io_uring is turned off on this kernel (kernel.io_uring_disabled)") end
  return t:assert(made, "io_uring_setup: errno " .. tostring(errno)) or made
end

test("requests that do nothing complete in one call", function(t)
  local r = ring(t, 8)
  for tag = 1, 5 do r:queue(NOP, -1, 0, 0, 0, tag) end
  t:assert_eq(r:submit(5, 5), 5)
  local results = r:completions()
  for tag = 1, 5 do t:assert_eq(results[tag], 0) end
  t:assert_eq(next(r:completions()), nil)
end)

test("a read and a write go through the ring into the memory of the worker", function(t)
  local r = ring(t, 4)
  local w = r.w
  local page = call(w, "mmap", { 0, 4096, READ | WRITE, 0x22, -1, 0 })
  local rd, wr = unpack("u32 u32", select(2, call(w, "pipe2", { 0, 0 }, { [0] = ("\0"):rep(8) })))
  r:poke(page, "through the ring")
  r:queue(OP_WRITE, wr, 0, page, 16, 71)
  t:assert_eq(r:submit(1, 1), 1)
  t:assert_eq(r:completions()[71], 16)
  r:queue(OP_READ, rd, 0, page + 100, 16, 72)
  t:assert_eq(r:submit(1, 1), 1)
  t:assert_eq(r:completions()[72], 16)
  t:assert_eq(w:read_mem(page + 100, 16), "through the ring")
end)

test("a read that has to wait completes when another worker writes", function(t)
  local r = ring(t, 4)
  local w = r.w
  local page = call(w, "mmap", { 0, 4096, READ | WRITE, 0x22, -1, 0 })
  local path = vm:run("mktemp -u"):assert_ok().stdout:match("%S+")
  vm:run({ "mkfifo", path }):assert_ok()
  local rd = call(w, "openat", { AT_FDCWD, 0, 2, 0 }, { [1] = path .. "\0" })
  r:queue(OP_READ, rd, 0, page, 5, 9)
  t:assert_eq(r:submit(1, 0), 1)
  t:assert_eq(next(r:completions()), nil)
  local other = vm:spawn_worker()
  local fd = call(other, "openat", { AT_FDCWD, 0, 1, 0 }, { [1] = path .. "\0" })
  provium:parallel(
    function() r:submit(0, 1) end,
    function() call(other, "write", { fd, 0, 5 }, { [1] = "later" }) end
  )
  t:assert_eq(r:completions()[9], 5)
  t:assert_eq(w:read_mem(page, 5), "later")
  vm:unlink(path)
end)

test("a request that fails gives -errno in its completion", function(t)
  local r = ring(t, 4)
  r:queue(OP_READ, 12345, 0, 0, 1, 3)
  t:assert_eq(r:submit(1, 1), 1)
  t:assert_eq(r:completions()[3], -9)
end)
