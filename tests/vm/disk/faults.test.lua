-- Faults are felt by the guest's kernel, not only by the test.

local g = provium:vm("g", "default"):boot{ disks = { { id = "d", size = "32M" } } }
local d = g:disk("d")
local dev = d:guest_path()

local function dd(words)
  return g:run("dd " .. words .. " 2>&1")
end

local function active()
  return table.concat(d:active_faults(), " ")
end

test("dd gets EIO where a read fault is, and reads on once it is cleared", function(t)
  d:fault_inject("eio_read", { sectors = { 16, 23 } })
  local r = dd("if=" .. dev .. " of=/dev/null bs=4k count=8 iflag=direct")
  t:assert(not r:ok(), "it read over the fault")
  t:assert_contains(r.stdout, "Input/output error")
  dd("if=" .. dev .. " of=/dev/null bs=4k count=2 iflag=direct"):assert_ok()
  t:assert_eq(active(), "eio_read")
  t:assert_contains(tostring(t:assert_raises(function() d:read_sectors(16, 1) end)), "disk:read_sectors: EIO (fault_inject)")
  d:clear_faults()
  t:assert_eq(active(), "")
  dd("if=" .. dev .. " of=/dev/null bs=4k count=8 iflag=direct"):assert_ok()
end)

test("a fault that strikes once leaves the second try alone", function(t)
  d:fault_inject("eio_write", { times = 1 })
  t:assert(not dd("if=/dev/zero of=" .. dev .. " bs=4k count=1 oflag=direct"):ok())
  dd("if=/dev/zero of=" .. dev .. " bs=4k count=1 oflag=direct"):assert_ok()
  t:assert_eq(active(), "")
  t:assert_eq(d:faults()[1].hits, 1)
  d:clear_faults()
end)

test("a full disk fails the guest's writes and lets it read", function(t)
  d:fault_inject("enospc")
  t:assert(not dd("if=/dev/zero of=" .. dev .. " bs=4k count=1 oflag=direct"):ok())
  dd("if=" .. dev .. " of=/dev/null bs=4k count=1 iflag=direct"):assert_ok()
  t:assert_contains(tostring(t:assert_raises(function() d:write_sectors(0, "x") end)), "ENOSPC (fault_inject)")
  d:clear_faults()
end)

test("of a torn write only the first sectors arrive", function(t)
  d:write_sectors(0, ("o"):rep(4096))
  g:write_file("/tmp/new", ("n"):rep(4096))
  d:fault_inject("torn_write", { keep = 3, times = 1 })
  dd("if=/tmp/new of=" .. dev .. " bs=4k count=1 oflag=direct"):assert_ok()
  t:assert_eq(d:read_sectors(0, 8), ("n"):rep(3 * 512) .. ("o"):rep(5 * 512))
  d:clear_faults()
end)

test("a lost write is acknowledged and not stored until a flush stores it", function(t)
  d:write_sectors(0, ("o"):rep(512))
  d:fault_inject("lost_write", { sectors = 0 })
  d:write_sectors(0, ("n"):rep(512))
  t:assert_eq(d:read_sectors(0, 1), ("o"):rep(512))
  g:run("sync; dd if=/dev/zero of=" .. dev .. " bs=512 seek=100 count=1 conv=fsync 2>/dev/null"):assert_ok()
  t:assert_eq(d:read_sectors(0, 1), ("n"):rep(512))
  d:clear_faults()
end)

test("a lost write may be told of by the flush", function(t)
  d:fault_inject("lost_write", { sectors = { 0, 7 }, on_flush = "error" })
  local r = dd("if=/dev/zero of=" .. dev .. " bs=4k count=1 conv=fsync")
  t:assert(not r:ok(), "fsync did not fail")
  d:clear_faults()
end)

test("corrupt reads are found by a checksum, the same for the same seed", function(t)
  local function sum()
    return g:run("dd if=" .. dev .. " bs=64k count=16 iflag=direct 2>/dev/null | md5sum"):assert_ok().stdout
  end
  local good = sum()
  d:fault_inject("corrupt_read", { seed = 7, bits = 3 })
  local bad = sum()
  t:assert_neq(bad, good)
  d:clear_faults()
  t:assert_eq(sum(), good)
  d:fault_inject("corrupt_read", { seed = 7, bits = 3 })
  t:assert_eq(sum(), bad)
  d:clear_faults()
end)

test("faults of a probability strike the same requests for the same seed", function(t)
  local function pattern(seed)
    d:clear_faults()
    d:fault_inject("eio_read", { probability = 0.5, seed = seed })
    local strikes = {}
    for i = 1, 40 do strikes[i] = pcall(d.read_sectors, d, i, 1) and "." or "x" end
    return table.concat(strikes)
  end
  local first = pattern(3)
  t:assert_eq(pattern(3), first)
  t:assert_neq(pattern(4), first)
  t:assert(first:find("x", 1, true) and first:find(".", 1, true), first)
  d:clear_faults()
end)

-- Milliseconds of all reads so far as the guest's kernel counts them (Documentation/block/stat.rst), rounded down.
local function read_ms()
  return tonumber(g:read_file("/sys/block/" .. dev:sub(6) .. "/stat"):match("^%s*%d+%s+%d+%s+%d+%s+(%d+)"))
end

test("a slow disk is slow by what it was told, within a tenth", function(t)
  d:fault_inject("slow", { delay = "100ms" })
  -- The least of many, as whatever else the host does only ever adds.
  local least = math.huge
  for _ = 1, 200 do
    local before = read_ms()
    dd("if=" .. dev .. " of=/dev/null bs=4k count=1 iflag=direct"):assert_ok()
    least = math.min(least, read_ms() - before)
    if least < 110 then break end
  end
  d:clear_faults()
  t:assert(least >= 99 and least < 110, "100 ms came as " .. least .. " ms")
end)

test("faults combine: a slow disk fails late", function(t)
  d:fault_inject("slow", { ms = 200 })
  d:fault_inject("eio_read")
  t:assert_eq(active(), "slow eio_read")
  local start = g:clock():get()
  t:assert(not dd("if=" .. dev .. " of=/dev/null bs=512 count=1 iflag=direct"):ok())
  t:assert(g:clock():get() - start > 0.15, "it failed at once")
  d:clear_faults("eio_read")
  t:assert_eq(active(), "slow")
  d:clear_faults()
end)

test("ext4 goes read-only on persistent write errors, and what was there is there", function(t)
  local j = g:attach_disk{ id = "journal", size = "16M" }
  -- busybox makes no journal; the disk's image is a plain file on the host.
  assert(os.execute("PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -F " .. j:path()))
  local path = j:guest_path()
  g:run("mkdir -p /mnt/j && mount -t ext4 -o errors=remount-ro " .. path .. " /mnt/j"):assert_ok()
  g:run("echo good > /mnt/j/good && sync"):assert_ok()
  j:fault_inject("eio_write")
  g:run("echo lost > /mnt/j/lost; sync")
  g:wait_until(function() return not g:run("touch /mnt/j/more"):ok() end, { timeout = "60s" })
  -- Newer kernels answer EIO instead of EROFS, but all say what they have done.
  t:assert(not g:run("touch /mnt/j/again"):ok())
  t:assert_contains(g:run("dmesg").stdout, "Remounting filesystem read-only")
  j:clear_faults()
  g:run("umount /mnt/j"):assert_ok()
  g:run("mount -t ext4 " .. path .. " /mnt/j"):assert_ok()
  t:assert_eq(g:read_file("/mnt/j/good"), "good\n")
  g:run("umount /mnt/j"):assert_ok()
end)
