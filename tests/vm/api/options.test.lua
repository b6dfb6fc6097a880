-- What boot options do to a real machine.
local function new_image(text)
  local path = os.tmpname()
  local f <close> = assert(io.open(path, "wb"))
  f:write(text, ("\0"):rep(1024 * 1024 - #text))
  return path
end
local image, other = new_image("on the disk"), new_image("for reading")

local g = provium:vm("g", "default", { memory = "256M", cpus = 1 }):boot {
  cpus = 2,
  -- `single` and what stands behind -- are words for init; /first sees them and goes on to the guest's own.
  kernel_cmdline_append = "provium.test=42 provium.init=/first single -- after",
  files = {
    { path = "/first", content = '#!/bin/sh\necho "$@" >/words\nexec /init "$@"\n', mode = "0755" },
    { path = "/etc/motd.test", content = "welcome\n" },
    { path = "/usr/local/bin/hello", content = "#!/bin/sh\necho hello from $0\n", mode = "0755" },
    { path = "/etc/this-test", host = "options.test.lua" },
    ["/etc/mapped"] = "options.test.lua",
  },
  disks = { { path = image }, { path = other, readonly = true } },
  initial_time = 1000000000,
  rng_seed = 7,
}

test("memory and cpus are those of the options, the later ones on top", function(t)
  local kb = tonumber(g:run("grep MemTotal /proc/meminfo").stdout:match("%d+"))
  t:assert(kb > 150000 and kb < 262144, kb)
  t:assert_eq(g:run("grep -c ^processor /proc/cpuinfo").stdout:trim(), "2")
end)

test("words are appended to the kernel's command line", function(t)
  t:assert_contains(g:read_file("/proc/cmdline"), "provium.test=42")
end)

test("words that the kernel does not know reach init, and ours do not", function(t)
  t:assert_eq(g:read_file("/words"), "single after\n")
end)

test("files are there at boot, with their modes", function(t)
  t:assert_eq(g:read_file("/etc/motd.test"), "welcome\n")
  t:assert_eq(g:run({ "/usr/local/bin/hello" }).stdout, "hello from /usr/local/bin/hello\n")
  t:assert_contains(g:read_file("/etc/this-test"), "files are there at boot")
  t:assert_eq(g:read_file("/etc/mapped"), g:read_file("/etc/this-test"))
end)

test("disks appear in order, and a read-only one cannot be written", function(t)
  t:assert_eq(g:run("head -c 11 /dev/vda").stdout, "on the disk")
  t:assert(g:run("printf changed | dd of=/dev/vda conv=notrunc 2>/dev/null && sync"):ok())
  t:assert_eq(g:run("head -c 7 /dev/vda").stdout, "changed")
  t:assert_eq(g:run("head -c 11 /dev/vdb").stdout, "for reading")
  t:assert_eq(g:run("cat /sys/block/vdb/ro").stdout:trim(), "1")
end)

test("the clock starts at initial_time", function(t)
  local now = g:clock():get()
  t:assert(now >= 1000000000 and now < 1000000000 + 300, now)
end)

test("what was written to a disk is in its image after the shutdown", function(t)
  g:shutdown()
  local f = assert(io.open(image, "rb"))
  t:assert_eq(f:read(7), "changed")
  f:close()
  os.remove(image)
  os.remove(other)
end)

test("a boot that takes too long says how long it waited, and what the console showed", function(t)
  local slow = provium:vm("slow", "default")
  local err = t:assert_raises(function() slow:boot { boot_timeout = "5ms" } end)
  t:assert_contains(err, "vm `slow`")
  t:assert_contains(err, "0.0")
  t:assert_eq(slow:state(), "created")
end)

test("a host file that is not there is named before anything starts", function(t)
  local h = provium:vm("h", "default")
  t:assert_contains(
    t:assert_raises(function() h:boot { files = { ["/x"] = "no/such/file" } } end),
    "host file for `/x`")
  t:assert_contains(
    t:assert_raises(function() h:boot { disks = { { path = "/no/such/disk" } } } end),
    "image of disk `vda`: `/no/such/disk` does not exist")
end)
