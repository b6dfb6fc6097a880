-- What a power cut leaves: ext4 comes back from its journal after a crash at every flush that the guest made.

-- Names of files with the number of flushes after which each must be there.
local function write_files(t, g, d, count)
  local promised = {}
  for i = 1, count do
    local name = "file" .. i
    g:run(("yes %s | head -c 5000 | dd of=/mnt/d/%s bs=5000 conv=fsync"):format(name, name)):assert_ok()
    promised[name] = d:flush_count()
  end
  return promised
end

local function check(t, g, image, promised, flush)
  local d = g:attach_disk{ id = "crashed" .. flush, image = image }
  g:run("mount -t ext4 " .. d:guest_path() .. " /mnt"):assert_ok()
  for name, from in pairs(promised) do
    if flush >= from then
      local want = (name .. "\n"):rep(5000):sub(1, 5000)
      t:assert_eq(g:read_file("/mnt/" .. name), want, name .. " is not what was flushed before flush " .. flush)
    end
  end
  g:run("umount /mnt"):assert_ok()
  d:detach()
  assert(os.execute("PATH=$PATH:/usr/sbin:/sbin e2fsck -fn " .. image .. " >/dev/null 2>&1"), "e2fsck finds damage after flush " .. flush)
end

test("a journal recovers at every flush, whatever of the rest had arrived", function(t)
  local g = provium:vm("writer", "default")
  local d = g:attach_disk{ id = "d", size = "16M" }
  assert(os.execute("PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -F " .. d:path()))
  g:boot()
  d:record_writes()
  g:run("mkdir -p /mnt/d && mount -t ext4 " .. d:guest_path() .. " /mnt/d"):assert_ok()
  local promised = write_files(t, g, d, 4)
  g:kill()
  local flushes = d:flush_count()
  t:assert(flushes >= 4, "only " .. flushes .. " flushes")
  local checker = provium:vm("checker", "default"):boot()
  for flush = 0, flushes do
    check(t, checker, d:crash_image(flush), promised, flush)
  end
  for flush = 0, flushes, 3 do
    check(t, checker, d:crash_image(flush, { unflushed = "random", seed = flush }), promised, flush)
  end
end)

test("a killed machine boots again on the disk as it was left", function(t)
  local g = provium:vm("killed", "default"):boot{ disks = { { id = "d", size = "16M" } } }
  g:run("mkfs.ext2 -q /dev/vda && mount /dev/vda /mnt && echo kept > /mnt/kept && sync && echo cached > /mnt/cached"):assert_ok()
  g:kill()
  g:boot()
  g:run("mount /dev/vda /mnt"):assert_ok()
  t:assert_eq(g:read_file("/mnt/kept"), "kept\n")
  t:assert(not g:run("test -e /mnt/cached"):ok(), "what was never written is there")
end)

test("a power cut takes what a lying disk had only acknowledged", function(t)
  local g = provium:vm("liar", "default"):boot{ disks = { { id = "d", size = "1M" } } }
  local d = g:disk("d")
  d:fault_inject("lost_write")
  g:run("echo gone | dd of=/dev/vda bs=512 count=1 conv=sync oflag=direct"):assert_ok()
  g:kill()
  t:assert_eq(d:read_sectors(0, 1), ("\0"):rep(512))
end)
