-- Images that cannot be used, who may have one when, and images that are not raw. Most of it needs no guest.

-- Files beside the temporary image of a disk go with it.
local shelf = provium:vm("shelf", "default"):attach_disk{ size = "1M" }:path():match("^(.*/)")
local v = provium:vm("v", "default")

local function sh(line) assert(os.execute(line), line) end

-- An empty one of that size.
local function image(name, size)
  sh(("truncate -s %s %s%s"):format(size, shelf, name))
  return shelf .. name
end

local function refused(t, attach, ...)
  local err = tostring(t:assert_raises(attach))
  for _, text in ipairs{ ... } do t:assert_contains(err, text) end
end

test("an image that cannot be used is refused with what is wrong with it", function(t)
  sh(("qemu-img create -q -f qcow2 -b %s -F raw %slost.qcow2 && rm %s"):format(image("gone", "1M"), shelf, shelf .. "gone"))
  for _, case in ipairs{
    { { image = shelf .. "missing" }, "attach_disk: image of disk `attached-v`: `" .. shelf .. "missing` does not exist" },
    { { image = "/tmp" }, "`/tmp` is a directory" },
    { { image = "/dev/null" }, "`/dev/null` is no regular file" },
    { { image = image("empty", 0) }, "empty` is empty" },
    { { image = image("cut", 1000) }, "cut` has a size that is no multiple of 512 bytes (is it truncated?)" },
    { { image = image("plain", "1M"), format = "qcow2" }, "plain` cannot be used: Image is not in qcow2 format" },
    { { image = shelf .. "lost.qcow2", format = "qcow2" }, "lost.qcow2` cannot be used: Could not open backing file: " },
    { { image = image("plain", "1M"), size = "2M", id = "other" },
      "disk `other` is to have 2097152 bytes, its image `" .. shelf .. "plain` has 1048576", "Leave `size` out" },
    { { size = 1000 }, "attach_disk: opts.size must be a multiple of 512 bytes above 0, got 1000" },
    { { format = "qcow2" }, "a temporary image is raw; a qcow2 one needs image" },
    { { readonly = true }, "a temporary image is empty; a readonly disk needs image" },
    { { id = "-x" }, "attach_disk: opts.id must be a letter followed by up to 63 letters, digits, `.`, `_` or `-`, got string \"-x\"" },
  } do
    refused(t, function() v:attach_disk(case[1]) end, table.unpack(case, 2))
  end
  refused(t, function() v:boot{ disks = { { path = shelf .. "cut" } } } end,
    "boot: image of disk `vda`: `" .. shelf .. "cut` has a size that is no multiple of 512 bytes")
  t:assert_eq(v:state(), "created")
  t:assert_eq(#v:disks(), 0)
end)

test("an id is taken once, and its owner's disks are named", function(t)
  v:attach_disk{ id = "one", size = "1M" }
  refused(t, function() v:attach_disk{ id = "one", size = "1M" } end, "vm `v` has a disk `one` already", "id = \"data2\"")
end)

test("two VMs write no image together; readers share it", function(t)
  local path = image("shared", "1M")
  local a, b = provium:vm("a", "default"), provium:vm("b", "default")
  local mine = a:attach_disk{ image = path }
  for _, readonly in ipairs{ false, true } do
    refused(t, function() b:attach_disk{ image = path, readonly = readonly } end, "is used by somebody else",
      "An image is written by one VM at a time; several may share it when all of them attach it with readonly = true.")
  end
  t:assert(not os.execute("qemu-io -f raw -c 'write 0 512' " .. path .. " >/dev/null 2>&1"), "QEMU itself writes to it")
  mine:write_sectors(0, "left by a")
  mine:detach()
  for _, vm in ipairs{ a, b } do
    local reader = vm:attach_disk{ image = path, readonly = true }
    t:assert_eq(reader:read_sectors(0, 1):sub(1, 9), "left by a")
  end
  refused(t, function() v:attach_disk{ image = path } end, "is used by somebody else")
end)

test("sectors behind the end are refused with the size, and nothing is written", function(t)
  local d = v:attach_disk{ id = "small", size = "1M" }
  refused(t, function() d:read_sectors(2048, 1) end,
    "disk:read_sectors: sectors 2048 to 2048 lie past the end of disk `small`, which has 2048")
  refused(t, function() d:write_sectors(2047, ("x"):rep(513)) end,
    "disk:write_sectors: sectors 2047 to 2048 lie past the end of disk `small`")
  t:assert_eq(d:read_sectors(2047, 1), ("\0"):rep(512))
  refused(t, function() d:fault_inject("eio_read", { sectors = { 2000, 2048 } }) end,
    "disk:fault_inject: sectors 2000 to 2048 lie past the end of disk `small`, which has 2048")
  refused(t, function() d:read_sectors(-1, 1) end, "sector", "-1")
  refused(t, function() d:resize(0) end, "disk:resize: size must be a multiple of 512 bytes above 0, got 0")
end)

test("what cannot be put back is refused, and the content stays", function(t)
  local d = v:attach_disk{ id = "kept", size = "1M" }
  d:write_sectors(0, "kept")
  refused(t, function() d:restore(image("larger", "2M")) end, "disk:restore: `" .. shelf .. "larger` has another size than the disk")
  refused(t, function() d:restore(shelf .. "missing") end, "missing`", "(ENOENT)")
  refused(t, function() d:restore(d:path()) end, "is used by somebody else")
  t:assert_eq(d:read_sectors(0, 1):sub(1, 4), "kept")
end)

test("a fault that makes no sense is refused, and none is in force", function(t)
  local d = v:attach_disk{ id = "well", size = "1M" }
  refused(t, function() d:fault_inject("eio") end,
    "disk:fault_inject: unknown mode `eio` (valid: eio_read, eio_write, slow, enospc, torn_write, lost_write, corrupt_read)")
  refused(t, function() d:clear_faults("eio") end, "disk:clear_faults: unknown mode `eio` (valid: ")
  refused(t, function() d:fault_inject("eio_read", { probability = 2 }) end, "opts.probability must be above 0 and at most 1, got number 2")
  refused(t, function() d:fault_inject("eio_read", { sectors = { 9, 3 } }) end, "the first sector, 9, lies behind the last, 3")
  refused(t, function() d:fault_inject("slow", { tims = 1 }) end, "slow has no option `tims` (did you mean \"times\"?)")
  t:assert_eq(#d:faults(), 0)
end)

test("without a log there is no crash to look at", function(t)
  local d = v:attach_disk{ id = "unlogged", size = "1M" }
  for _, call in ipairs{ "flush_count", "crash_image" } do
    refused(t, function() d[call](d, 0) end, "disk:" .. call .. ": the writes of disk `unlogged` have not been recorded",
      "disk:record_writes() begins a log.")
  end
  d:record_writes()
  refused(t, function() d:crash_image(1) end, "the log holds 0 flushes, there is no flush 1")
  refused(t, function() d:crash_image(0, { unflushed = "some" }) end, "unflushed must be none, all, random, got `some`")
end)

test("a qcow2 image is read and written through the layer, with its backing file, and keeps what was written", function(t)
  local base, path = image("base", "8M"), shelf .. "over.qcow2"
  sh(("printf 'in the base' | dd of=%s bs=512 seek=9 conv=notrunc 2>/dev/null"):format(base))
  sh(("qemu-img create -q -f qcow2 -b %s -F raw %s"):format(base, path))
  local g = provium:vm("g", "default"):boot{ disks = { { id = "q", path = path, format = "qcow2" } } }
  local d = g:disk("q")
  local function guest_reads(sector)
    return g:run("dd if=/dev/vda bs=512 count=1 iflag=direct skip=" .. sector .. " 2>/dev/null"):assert_ok().stdout
  end
  t:assert_contains(guest_reads(9), "in the base")
  t:assert_contains(d:read_sectors(9, 1), "in the base")
  d:write_sectors(9, "by the test")
  t:assert_contains(guest_reads(9), "by the test")
  g:run("echo by the guest | dd of=/dev/vda bs=512 seek=20 conv=sync,fsync 2>/dev/null"):assert_ok()
  t:assert_contains(d:read_sectors(20, 1), "by the guest")
  d:fault_inject("eio_read", { sectors = 20 })
  t:assert(not g:run("dd if=/dev/vda of=/dev/null bs=512 count=1 iflag=direct skip=20"):ok(), "the fault is not felt")
  d:clear_faults()
  d:resize("12M")
  wait_until(function()
    return tonumber(g:read_file("/sys/block/vda/size")) == 12 * 2048
  end, { timeout = "60s", desc = "12 MiB in the guest" })
  g:kill()
  g:boot()
  t:assert_contains(guest_reads(20), "by the guest")
  g:kill()
  d:detach()
  sh("qemu-img check -q " .. path)
  local again = v:attach_disk{ id = "again", image = path, format = "qcow2", readonly = true }
  t:assert_contains(again:read_sectors(9, 1), "by the test")
  t:assert_eq(again:size(), 12 * 1024 * 1024)
  t:assert_contains(assert(io.open(base, "rb")):read("a"):sub(9 * 512 + 1, 10 * 512), "in the base")
end)
