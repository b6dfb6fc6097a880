-- provium.reset_between_tests after tests that last: the next machine has been there for a while, and has rehearsed.

local vm = provium:vm("web", "default", { memory = "128M" }):boot()
local count = vm:run_async("i=0; while [ $i -lt 30 ]; do i=$((i + 1)); echo $i; sleep 0.1; done; read x; echo $x")
local worker = vm:spawn_worker()
provium.reset_between_tests = true

local said = {}
for i = 1, 30 do said[i] = i .. "\n" end

for i = 1, 3 do
  test("test " .. i .. " hears everything that a command says, also while its machine waited", { timeout = "2m" }, function(t)
    t:assert_eq(vm:run("ls /tmp").stdout, "")
    t:assert(worker:syscall("getpid").ret > 0)
    count:stdin_write("end of " .. i .. "\n")
    local heard, out = "", count:stdout_stream()
    while not heard:find("end") do heard = heard .. out:read_until("\n", "60s") end
    out:close()
    t:assert_eq(heard, table.concat(said) .. "end of " .. i .. "\n")
    vm:run("touch /tmp/dirty; sleep 0.5"):assert_ok()
  end)
end
