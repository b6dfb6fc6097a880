-- What a machine is made of: memory, CPUs, files that are there before init runs, disks, words for the kernel.

local image = os.tmpname()
do
  local disk <close> = assert(io.open(image, "wb"))
  disk:write("a tiny disk", ("\0"):rep(65536 - 11))
end

local guest = provium:vm("guest", "default", { memory = "384M" }):boot {
  cpus = 2,
  kernel_cmdline_append = "demo.answer=42",
  initial_time = 946684800, -- the first second of the year 2000
  files = {
    { path = "/etc/greeting", content = "hello\n" },
    { path = "/usr/bin/greet", content = "#!/bin/sh\ncat /etc/greeting\n", mode = "0755" },
  },
  disks = { { path = image, readonly = true } },
}
os.remove(image)

test("the machine is as ordered", function(t)
  t:assert_eq(guest:run("nproc || grep -c ^processor /proc/cpuinfo").stdout:trim(), "2")
  t:assert_contains(guest:read_file("/proc/cmdline"), "demo.answer=42")
  t:assert_eq(guest:run("date -u +%Y").stdout:trim(), "2000")
end)

test("injected files are there, with their modes", function(t)
  t:assert_eq(guest:run({ "/usr/bin/greet" }).stdout, "hello\n")
end)

test("the disk is /dev/vda", function(t)
  t:assert_eq(guest:run("head -c 11 /dev/vda").stdout, "a tiny disk")
end)

test("mistakes are told before anything starts", function(t)
  local other = provium:vm("other", "default")
  local message = t:assert_raises(function() other:boot { memroy = "1G" } end)
  t:assert_contains(message, 'did you mean "memory"?')
end)
