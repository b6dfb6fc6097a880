--!provium lab
-- A guest that is driven into the ground: whoever does it pays, and the agent answers meanwhile.
local vm = provium:vm("pressure", "default", { memory = "192M" }):boot()
local test = require("tests.shared.clean")(vm)
local call = require("tests.shared.call")

local function status_of(pid, key) return vm:read_file("/proc/" .. pid .. "/status"):match(key .. ":%s*(%d+)") end

local function score_of(pid) return tonumber((vm:read_file("/proc/" .. pid .. "/oom_score_adj"))) end

test("the agent cannot be killed for its memory nor swapped out, its task is the last to go, commands are as any", function(t)
  local agent = call(vm, "getppid", {})
  t:assert_eq(score_of(agent), -1000)
  t:assert(tonumber(status_of(agent, "VmLck")) > 0)
  local w = vm:spawn_worker()
  for _, task in ipairs { vm, w } do
    t:assert_eq(score_of(call(task, "getpid", {})), -500)
    t:assert_eq(task:run({ "cat", "/proc/self/oom_score_adj" }).stdout, "0\n")
  end
end)

test("a command that eats all memory is killed, and nobody else", function(t)
  local task, w = call(vm, "getpid", {}), vm:spawn_worker()
  local bystander = vm:run_async({ "cat" })
  -- No line ever ends, so it keeps everything.
  local hog = vm:run({ "tail", "/dev/zero" }, { timeout = "5m" })
  t:assert_eq(hog.status, "signalled")
  t:assert_eq(hog.signal, 9)
  t:assert_contains(vm:dmesg("Out of memory"), "(tail)")
  t:assert_eq(call(vm, "getpid", {}), task)
  t:assert_eq(call(w, "getpid", {}), w:pid())
  bystander:stdin_write("still here")
  bystander:close_stdin()
  t:assert_eq(bystander:wait(20).stdout, "still here")
end)

test("a worker that eats all memory itself is told as killed; the main task stays", function(t)
  local task, w = call(vm, "getpid", {}), vm:spawn_worker()
  local NORESERVE_POPULATE_PRIVATE_ANONYMOUS = 0x4000 | 0x8000 | 0x22
  local err = t:assert_raises(function() w:syscall("mmap", 0, 1 << 30, 3, NORESERVE_POPULATE_PRIVATE_ANONYMOUS, -1, 0) end)
  t:assert_contains(err, "worker")
  t:assert_contains(err, "was killed by signal 9")
  t:assert(not w:alive())
  t:assert_eq(call(vm, "getpid", {}), task)
  t:assert(vm:run("true"):ok())
end)

test("during a fork bomb calls are answered and new commands refused; it ends with the command that it was", function(t)
  local task, w, limit = call(vm, "getpid", {}), vm:spawn_worker(), "/proc/sys/kernel/threads-max"
  local threads = vm:read_file(limit)
  vm:write_file("/bomb", "#!/bin/sh\nwhile :; do /bomb & done\n", { perm = "0755" })
  vm:write_file(limit, "300")
  local bomb = vm:run_async("/bomb & wait; sleep 1000")
  local refusal
  wait_until(function()
    local ok, err = pcall(vm.run, vm, { "true" })
    refusal = not ok and err
    return refusal
  end, { timeout = 120, interval = 0.05, desc = "no room for another process" })
  t:assert_contains(refusal, "Resource temporarily unavailable (EAGAIN)")
  for _ = 1, 20 do
    t:assert_eq(call(vm, "getpid", {}), task)
    t:assert_eq(call(w, "getpid", {}), w:pid())
    t:assert(#vm:read_file("/proc/loadavg") > 0)
  end
  bomb:kill("kill")
  t:assert_eq(bomb:wait(120).signal, 9)
  vm:write_file(limit, threads)
  wait_until(function() return vm:run({ "pidof", "bomb" }).stdout == "" end, { timeout = 120, desc = "the end of the bomb" })
  vm:unlink("/bomb")
end)
