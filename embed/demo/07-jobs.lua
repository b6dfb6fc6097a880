-- Background jobs: start, look, wait, kill.

local vm = provium.create("default"):boot()

test("a job runs while the test goes on", function()
  local job = vm:background("cat /proc/uptime; sleep 0.2; echo done")
  assert(job.pid > 1)
  assert(vm:exec("true").ok)
  local r = vm:job_wait(job, 10)
  assert_eq(r.exit_code, 0)
  assert_contains(r.stdout, "done")
end)

test("waiting for no time at all is looking", function()
  local job = vm:background("sleep 1000")
  assert_eq(vm:job_wait(job, 0).running, true)
  local r = vm:job_kill(job)
  assert_eq(r.running, false)
end)

test("the kernel log is at hand", function()
  assert_contains(vm:dmesg("Linux version"), "Linux")
end)

test("what is not written yet can be said", function()
  todo("a job that restarts by itself")
end)
