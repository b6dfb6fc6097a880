-- A Debian image, made by debootstrap, with systemd as PID 1. The agent comes from the initramfs and lives in the
-- image's root.
provium.timeout = "20m"
local g = provium:vm("debian", "debian"):boot()

test("systemd is PID 1, and commands run in the image's root", function(t)
  t:assert_contains(g:run("readlink /proc/1/exe").stdout, "systemd")
  t:assert_contains(g:read_file("/etc/os-release"), "Debian")
  t:assert(g:run("test / -ef /proc/1/root/"):ok())
end)

test("the system comes up", function(t)
  local state
  wait_until(function()
    state = g:run("systemctl is-system-running").stdout:trim()
    return state == "running" or state == "degraded"
  end, { timeout = "18m", interval = 2, desc = "a system that is up" })
  t:log(state)
end)

test("what is written is forgotten with the machine", function(t)
  g:write_file("/root/mark", "1")
  g:run("sync"):assert_ok()
  g:kill()
  g:boot()
  t:assert_eq(g:run("test -e /root/mark").exit_code, 1)
end)

test("files for the initramfs and snapshots are refused with the reason", function(t)
  local other = provium:vm("other", "debian", { files = { { path = "/etc/x", content = "x" } } })
  t:assert_contains(tostring(t:assert_raises(function() other:boot() end)), "a disk of the profile takes the place of")
  t:assert_contains(tostring(t:assert_raises(function() g:snapshot() end)), "boots from a disk image")
end)
