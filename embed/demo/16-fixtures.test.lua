-- A fixture is a machine made once: its file boots it, prepares it and returns a snapshot. Tests then start from
-- there within a tenth of a second, each with a machine of its own. The snapshot is kept from run to run, and made
-- anew when something changes that it was made from.
-- This one is made in fixtures/prepared.fixture.lua.

test("a machine comes up prepared", function(t)
  local guest = provium:vm_fixture("fixtures/prepared")
  t:assert_eq(guest:read_file("/srv/greeting"), "prepared once\n")
  guest:write_file("/srv/greeting", "spoilt")
end)

test("the next test finds it as it was", function(t)
  local guest = provium:vm_fixture("fixtures/prepared")
  t:assert_eq(guest:read_file("/srv/greeting"), "prepared once\n")
end)

test("several at once are independent", function(t)
  local a, b = provium:vm_fixture("fixtures/prepared"), provium:vm_fixture("fixtures/prepared")
  a:run("rm /srv/greeting"):assert_ok()
  t:assert(b:run("cat /srv/greeting"):ok())
end)
