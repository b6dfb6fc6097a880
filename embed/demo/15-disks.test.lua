-- A disk that fails: the guest's kernel feels it, and so does the test.
-- docs: docs/disks.md

local g = provium:vm("g", "default"):boot()

test("a bad sector is EIO in the guest, until the disk is well again", function(t)
  local d = g:attach_disk{ id = "data", size = "8M" }
  local read = "dd if=" .. d:guest_path() .. " of=/dev/null bs=4k count=4 iflag=direct 2>&1"
  d:fault_inject("eio_read", { sectors = { 8, 15 } })
  t:assert_contains(g:run(read).stdout, "Input/output error")
  d:clear_faults()
  g:run(read):assert_ok()
end)

test("what a power cut leaves is what was flushed", function(t)
  local d = g:attach_disk{ id = "crash", size = "1M" }
  d:record_writes()
  g:run("echo first | dd of=" .. d:guest_path() .. " bs=512 count=1 conv=sync,fsync"):assert_ok()
  local flushes = d:flush_count()
  g:run("echo later | dd of=" .. d:guest_path() .. " bs=512 count=1 conv=sync oflag=direct"):assert_ok()
  local left = io.open(d:crash_image(flushes), "rb"):read(5)
  t:assert_eq(left, "first")
end)
