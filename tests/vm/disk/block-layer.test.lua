-- One block layer: the guest and the test see the same sectors of the same disk, whatever the image is.

local g = provium:vm("g", "default"):boot{ disks = { { size = "16M" }, { id = "second", size = "8M" } } }

local function read(path, sector, count)
  return g:run("dd if=" .. path .. " bs=512 skip=" .. sector .. " count=" .. count .. " iflag=direct 2>/dev/null"):assert_ok().stdout
end

test("disks of a boot are there under their names and serial numbers", function(t)
  t:assert_eq(g:disk("vda"):guest_path(), "/dev/vda")
  t:assert_eq(g:disk("second"):guest_path(), "/dev/vdb")
  t:assert_eq(g:disk("second"):id(), "second")
  t:assert_eq(g:disk("second"):size(), 8 * 1024 * 1024)
  t:assert_eq(#g:disks(), 2)
  t:assert_eq(tonumber(g:read_file("/sys/block/vdb/size")), 16384)
  local err = t:assert_raises(function() g:disk("third") end)
  t:assert_contains(tostring(err), "has no disk `third` (known: vda, second)")
end)

test("what the guest wrote and flushed, the test reads; what the test writes, the guest reads", function(t)
  local d = g:disk("vda")
  g:write_file("/tmp/block", ("guest "):rep(200):sub(1, 1024))
  g:run("dd if=/tmp/block of=/dev/vda bs=512 seek=7 conv=fsync"):assert_ok()
  t:assert_eq(d:read_sectors(7, 2), ("guest "):rep(200):sub(1, 1024))
  d:write_sectors(100, ("test "):rep(300):sub(1, 1300))
  local seen = read("/dev/vda", 100, 3)
  t:assert_eq(seen:sub(1, 1300), ("test "):rep(300):sub(1, 1300))
  t:assert_eq(seen:sub(1301), ("\0"):rep(236))
end)

test("the rest of a sector that is not filled stays as it was", function(t)
  local d = g:disk("vda")
  d:write_sectors(50, ("o"):rep(1024))
  d:write_sectors(50, ("n"):rep(600))
  t:assert_eq(d:read_sectors(50, 2), ("n"):rep(600) .. ("o"):rep(424))
end)

test("a disk attached to a running guest is usable when the call returns, and gone when detached", function(t)
  local d = g:attach_disk{ id = "plugged", size = "64M" }
  local path = d:guest_path()
  g:run("mkfs.ext2 -q " .. path .. " && mount " .. path .. " /mnt && echo hello > /mnt/file && umount /mnt"):assert_ok()
  t:assert(not d:is_detached())
  d:detach()
  t:assert(d:is_detached())
  t:assert(not g:run("test -e " .. path):ok(), path .. " is still there")
  t:assert_eq(tostring(t:assert_raises(function() d:read_sectors(0, 1) end)):match("disk:.*"), "disk:read_sectors: disk is detached")
  d:detach()
end)

test("a resized disk has its new size in the guest, larger or smaller", function(t)
  local d = g:attach_disk{ size = "32M" }
  t:assert_eq(d:id(), "attached-g")
  local sectors = "/sys/block/" .. d:guest_path():sub(6) .. "/size"
  local function becomes(mib)
    wait_until(function() return tonumber(g:read_file(sectors)) == mib * 2048 end, { timeout = "60s", desc = mib .. " MiB" })
  end
  d:resize("48M")
  becomes(48)
  g:run("dd if=/dev/zero of=" .. d:guest_path() .. " bs=1M seek=47 count=1 conv=fsync"):assert_ok()
  d:resize("16M")
  becomes(16)
  t:assert_eq(d:size(), 16 * 1024 * 1024)
end)

test("a mounted disk is not detached, and the error says where it is mounted", function(t)
  local d = g:attach_disk{ id = "mounted", size = "16M" }
  g:run("mkfs.ext2 -q " .. d:guest_path() .. " && mkdir -p /mnt/here && mount " .. d:guest_path() .. " /mnt/here"):assert_ok()
  local err = tostring(t:assert_raises(function() d:detach() end))
  t:assert_contains(err, "is mounted at /mnt/here")
  t:assert(not d:is_detached())
  g:run("umount /mnt/here"):assert_ok()
  d:detach()
end)

test("a disk that is swapped on is not detached, unless it is pulled out", function(t)
  local d = g:attach_disk{ id = "swap", size = "16M" }
  local path = d:guest_path()
  g:run("mkswap " .. path .. " && swapon " .. path):assert_ok()
  t:assert_contains(tostring(t:assert_raises(function() d:detach() end)), path .. " is swap")
  g:run("swapoff " .. path):assert_ok()
  g:run("mkfs.ext2 -q " .. path .. " && mkdir -p /mnt/pulled && mount " .. path .. " /mnt/pulled"):assert_ok()
  d:detach{ force = true }
  t:assert(not g:run("test -e " .. path):ok(), path .. " is still there")
  t:assert(not g:run("echo x > /mnt/pulled/x && sync && dd if=/mnt/pulled/x of=/dev/null iflag=direct"):ok(), "it is written to a disk that is gone")
  g:run("umount -l /mnt/pulled"):assert_ok()
end)

test("a readonly disk refuses what the guest writes", function(t)
  local image = g:attach_disk{ id = "source", size = "1M" }
  image:write_sectors(0, "content")
  local path = image:snapshot()
  local d = g:attach_disk{ id = "ro", image = path, readonly = true }
  t:assert_eq(read(d:guest_path(), 0, 1):sub(1, 7), "content")
  t:assert(not g:run("dd if=/dev/zero of=" .. d:guest_path() .. " bs=512 count=1 oflag=direct"):ok(), "it was written")
  t:assert_contains(tostring(t:assert_raises(function() d:write_sectors(0, "x") end)), "EPERM")
end)

test("a snapshot keeps the content of its moment, and restore brings it back", function(t)
  local d = g:attach_disk{ id = "kept", size = "4M" }
  d:write_sectors(3, "before")
  local saved = d:snapshot()
  d:write_sectors(3, "after!")
  t:assert_contains(tostring(t:assert_raises(function() d:restore(saved) end)), "runs with disk `kept`")
  local v = provium:vm("cold", "default")
  local c = v:attach_disk{ id = "copy", size = "4M" }
  c:restore(saved)
  t:assert_eq(c:read_sectors(3, 1):sub(1, 6), "before")
  v:boot()
  t:assert_eq(v:run("dd if=" .. c:guest_path() .. " bs=512 skip=3 count=1 2>/dev/null"):assert_ok().stdout:sub(1, 6), "before")
end)

test("large reads and writes of several processes at once do not mix", function(t)
  local d = g:attach_disk{ id = "busy", size = "32M" }
  local dev = d:guest_path()
  g:write_file("/tmp/busy.sh", [[
    head -c 4194304 /dev/urandom > /tmp/busy
    dd if=/tmp/busy of=$1 bs=1M oflag=direct
    for reader in 1 2; do
      (for i in 1 2 3; do dd if=$1 bs=1M count=4 iflag=direct | md5sum; done > /tmp/read$reader) &
    done
    for place in 1 2 3; do dd if=/tmp/busy of=$1 bs=1M seek=$((place * 4)) oflag=direct & done
    wait
    md5sum < /tmp/busy
    sort -u /tmp/read1 /tmp/read2
  ]])
  local sums = g:run("sh /tmp/busy.sh " .. dev .. " 2>/dev/null"):assert_ok().stdout
  local sum, read = sums:match("^(%x+)%s+%-\n(%x+)%s+%-\n$")
  t:assert_eq(read, sum, sums)
  local whole = d:read_sectors(0, 8192)
  for place = 1, 3 do t:assert(d:read_sectors(place * 8192, 8192) == whole, "copy " .. place .. " differs") end
  t:assert_contains(g:run("md5sum < /tmp/busy").stdout, sum)
end)

test("one disk after another comes and goes", function(t)
  -- An arm64 guest thinks for five seconds before it lets go of one.
  for i = 1, g:arch() == "x86_64" and 50 or 5 do
    local d = g:attach_disk{ id = "turn" .. i, size = "1M" }
    g:run("dd if=/dev/zero of=" .. d:guest_path() .. " bs=4k count=1 oflag=direct"):assert_ok()
    d:detach()
  end
  t:assert_eq(#g:disks(), 2)
end)
