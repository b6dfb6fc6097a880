-- vm:run and its result.
local g = provium:vm("g", "default"):boot()

test("a string goes through the shell", function(t)
  t:assert_eq(g:run("echo one; echo two | tr a-z A-Z").stdout, "one\nTWO\n")
end)

test("a string with options is still a shell command", function(t)
  local r = g:run("echo $A-$PWD | cat", { env = { A = "x" }, cwd = "/" })
  t:assert_eq(r.stdout, "x-/\n")
end)

test("a list of arguments reaches the program as it is", function(t)
  t:assert_eq(g:run("printf", { "%s|", "a b", "$HOME", "*" }).stdout, "a b|$HOME|*|")
  t:assert_eq(g:run("printf", { args = { "%s|", "x" } }).stdout, "x|")
  t:assert_eq(g:run({ "printf", "%s", "array" }).stdout, "array")
end)

test("stdin is fed and ends", function(t)
  t:assert_eq(g:run("sort", { args = { "-u" }, stdin = "b\na\nb\n" }).stdout, "a\nb\n")
end)

test("binary output and input come through untouched", function(t)
  local all = {}
  for i = 0, 255 do all[#all + 1] = string.char(i) end
  local bytes = table.concat(all)
  t:assert_eq(g:run("cat", { args = {}, stdin = bytes }).stdout, bytes)
end)

test("env_clear leaves only what is given", function(t)
  local r = g:run("/usr/bin/env", { args = {}, env = { ONLY = "1" }, env_clear = true })
  t:assert_eq(r.stdout, "ONLY=1\n")
end)

test("a result tells how the command ended", function(t)
  local ok = g:run("true")
  t:assert(ok:ok())
  t:assert_eq(ok.exit_code, 0)
  t:assert_eq(ok.status, "exited")
  t:assert_eq(ok.signal, nil)
  t:assert_eq(ok:assert_ok(), ok)
  local bad = g:run("echo out; echo err >&2; exit 3")
  t:assert(not bad:ok())
  t:assert_eq(bad.exit_code, 3)
  t:assert_eq(bad.stderr, "err\n")
  local killed = g:run("kill -SEGV $$")
  t:assert_eq(killed.exit_code, -1)
  t:assert_eq(killed.status, "signalled")
  t:assert_eq(killed.signal, 11)
end)

test("assert_ok raises with the status and both outputs", function(t)
  local err = t:assert_raises(function() g:run("echo out; echo err >&2; exit 3"):assert_ok() end)
  for _, part in ipairs { "exited with 3", "stdout:\n  out", "stderr:\n  err", "run.test.lua:" } do
    t:assert_contains(err, part)
  end
  local signal = t:assert_raises(function() g:run("kill -SEGV $$"):assert_ok() end)
  t:assert_contains(signal, "SIGSEGV")
end)

test("a command that outlives its timeout is killed with its children", function(t)
  local r = g:run("echo early; sleep 1000 & sleep 1000", { timeout = "2s" })
  t:assert_eq(r.exit_code, -2)
  t:assert_eq(r.status, "timed_out")
  t:assert(r.timed_out)
  t:assert_eq(r.stdout, "early\n")
end)

test("a program that does not exist raises", function(t)
  local err = t:assert_raises(function() g:run("no-such-program", { "x" }) end)
  t:assert_contains(err, "no-such-program")
  t:assert_contains(err, "ENOENT")
end)

test("ten megabytes of output arrive whole", function(t)
  local r = g:run("head -c 10485760 /dev/zero; echo end >&2")
  t:assert_eq(#r.stdout, 10485760)
  t:assert_eq(r.stderr, "end\n")
end)

test("a thousand commands leave nothing behind in the agent", function(t)
  for _ = 1, 1000 do g:run({ "true" }) end
  t:assert(g:is_quiescent())
end)
