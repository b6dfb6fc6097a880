-- The local VMM has no machines to save: fixtures say so.
test("a fixture needs a machine", function(t)
  local err = t:assert_raises(function() provium:vm_fixture("anything") end)
  t:assert_contains(err, "fixtures need machines, and --vmm local boots none")
end)
