--!provium lab
-- Commands that run beside the test.
local vm = provium:vm("g", "default"):boot()
local test = require("tests.shared.clean")(vm)

test("a result can be asked for again, also after the end", function(t)
  local p = vm:run_async("echo out; echo err >&2; exit 5")
  local r = p:wait()
  t:assert_eq(r.exit_code, 5)
  t:assert_eq(r.stdout, "out\n")
  t:assert_eq(r.stderr, "err\n")
  t:assert_eq(p:wait(0).exit_code, 5)
  t:assert_eq(p:status().exit_code, 5)
  t:assert_eq(p:status().running, false)
  p:kill()
  p:close()
end)

test("a wait with 0 polls, one without kill goes on, one that expires kills", function(t)
  local p = vm:run_async("sleep 1000")
  t:assert_eq(p:wait(0), nil)
  t:assert_eq(p:wait("20ms", { kill = false }), nil)
  t:assert(p:status().running)
  local r = p:wait(0.05)
  t:assert_eq(r.status, "timed_out")
  t:assert_eq(r.exit_code, -2)
  t:assert(not vm:run("kill -0 " .. p:pid()):ok())
end)

test("signals reach the process under every spelling", function(t)
  for given, number in pairs { term = 15, SIGINT = 2, Hup = 1, ["10"] = 10, [12] = 12 } do
    local p = vm:run_async("exec sleep 1000")
    p:signal(given)
    local r = p:wait(10)
    t:assert_eq(r.status, "signalled")
    t:assert_eq(r.signal, number)
  end
  local p = vm:run_async("sleep 1000 | sleep 1000")
  p:kill("kill")
  t:assert_eq(p:wait(10).signal, 9)
end)

test("a stopped process goes on when it is told to", function(t)
  -- One process: a shell that waits in vfork(2) for a stopped child is in state D, not T.
  local p = vm:run_async({ "cat" }, { stdin = "" })
  local s = p:stdout_stream()
  p:stdin_write("before ")
  s:expect("before ", 10)
  p:signal("stop")
  wait_until(function() return vm:read_file("/proc/" .. p:pid() .. "/stat"):find(") T", 1, true) end)
  p:stdin_write("after")
  t:assert_eq(#s:drain(0.2), 0)
  p:signal("cont")
  s:expect("after", 10)
end)

test("input is written piece by piece and ends when it is closed", function(t)
  local p = vm:run_async({ "cat" }, { stdin = "first " })
  t:assert_eq(p:stdin_write("second "), 7)
  local big = ("0123456789abcdef"):rep(40000)
  local s = p:stdout_stream()
  local task = provium:go(function() p:stdin_write(big); p:close_stdin() end)
  s:expect("first second ", 10)
  local got, n = {}, 0
  while n < #big do
    local chunk = s:next(10)
    if chunk == nil then break end
    got[#got + 1] = chunk
    n = n + #chunk
  end
  task:wait()
  t:assert(table.concat(got) == big, "what cat gave back differs")
  t:assert_eq(s:next(10), nil)
  t:assert(s:eof())
  t:assert_contains(t:assert_raises(function() p:stdin_write("x") end), "stdin is closed")
  t:assert_eq(p:wait(10).exit_code, 0)
end)

test("both outputs come as streams, and what a stream took is missing from the result", function(t)
  local p = vm:run_async("echo a; echo b >&2; read x; echo end")
  local out, err = p:stdout_stream(), p:stderr_stream()
  t:assert_eq(out:read_until("\n", 10), "a\n")
  t:assert_eq(err:read_until("\n", 10), "b\n")
  p:close_stdin()
  t:assert_eq(out:read_until("\n", 10), "end\n")
  t:assert_eq(p:wait(10).stdout, "")
  t:assert_eq(out:next(10), nil)
  t:assert_eq(out:creation_site().line > 0, true)
end)

test("much output passes through a stream whole", function(t)
  local p = vm:run_async("head -c 8000000 /dev/zero")
  local s, n = p:stdout_stream(), 0
  for chunk in function() return s:next(10) end do n = n + #chunk end
  t:assert_eq(n, 8000000)
  t:assert(s:eof())
end)

test("what still runs ends with its test", function(t)
  vm:run_async("sleep 1000")
  vm:run_async("sleep 1000"):stdout_stream()
  t:assert(not vm:is_quiescent())
end)

test("a hundred short processes leave nothing", function(t)
  for i = 1, 100 do t:assert_eq(vm:run_async("exit " .. i % 7):wait(10).exit_code, i % 7) end
end)
