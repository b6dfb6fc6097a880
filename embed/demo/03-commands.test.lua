-- Running commands: through a shell or directly, with input, environment, directory and a time limit.

local guest = provium:vm("guest", "default"):boot()

test("a string is a shell command", function(t)
  t:assert_eq(guest:run("echo hello | tr a-z A-Z").stdout, "HELLO\n")
end)

test("a program with arguments needs no quoting", function(t)
  t:assert_eq(guest:run("printf", { "%s", "$HOME and 'quotes'" }).stdout, "$HOME and 'quotes'")
end)

test("options give input, environment and directory", function(t)
  local r = guest:run("sort", { args = { "-r" }, stdin = "a\nb\n", env = { LC_ALL = "C" }, cwd = "/tmp" })
  t:assert_eq(r.stdout, "b\na\n")
end)

test("a result tells how the command ended", function(t)
  local r = guest:run("echo before; kill -SEGV $$")
  t:assert_eq(r.status, "signalled")
  t:assert_eq(r.signal, 11)
  t:assert_eq(r.stdout, "before\n")
end)

test("assert_ok says everything about a command that failed", function(t)
  local message = t:assert_raises(function()
    guest:run("echo 'disk full' >&2; exit 28"):assert_ok()
  end)
  t:assert_contains(message, "exited with 28")
  t:assert_contains(message, "disk full")
end)

test("a command that takes too long is killed, with all its children", function(t)
  local r = guest:run("echo started; sleep 1000", { timeout = "2s" })
  t:assert(r.timed_out)
  t:assert_eq(r.stdout, "started\n")
end)

test("waiting means asking until the answer is yes", function(t)
  guest:run("(sleep 0.2; touch /tmp/ready) > /dev/null 2>&1 &")
  wait_until(function()
    return guest:run("test -e /tmp/ready"):ok()
  end, { timeout = "10s", interval = "20ms", desc = "the file" })
end)
