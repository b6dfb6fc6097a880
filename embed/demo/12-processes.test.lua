-- Commands beside the test: input, signals, and output as it comes.

local guest = provium:vm("guest", "default"):boot()

test("a process is talked to while it runs", function(t)
  local process = guest:run_async("while read line; do echo \"got $line\"; done")
  local output = process:stdout_stream()
  process:stdin_write("one\n")
  t:assert_eq(output:read_until("\n"), "got one\n")
  process:stdin_write("two\n")
  output:expect("got two\n")
  process:close_stdin()
  t:assert_eq(process:wait("5s").exit_code, 0)
end)

test("a signal has a name", function(t)
  local process = guest:run_async("sleep 1000")
  process:kill("term")
  t:assert_eq(process:wait("5s").status, "signalled")
end)

test("a log is followed while something writes it", function(t)
  guest:write_file("/tmp/service.log", "old\n")
  local log = guest:tail_file("/tmp/service.log")
  guest:run_async("sleep 0.1; echo started >> /tmp/service.log")
  t:assert_eq(log:read_until("\n", "5s"), "started\n")
end)

test("an open file has a cursor", function(t)
  local file = guest:open_file("/tmp/ring", { read = true, write = true, create = true })
  file:write("abcdef")
  file:seek(-2, "end")
  t:assert_eq(file:read(10), "ef")
end)

-- Processes, streams and files end with the test that made them.
