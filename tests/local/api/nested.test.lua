--!provium classic
-- Tests inside tests, which only a classic file can have.
test("a test inside a test has a scope of its own", function()
  local outer = provium:vm("outer", "default"):boot()
  local inner
  test("the inner one sees what the outer one has made", function()
    assert_eq(provium.outer, outer)
    inner = provium:vm("inner", "default"):boot()
    local ok, err = pcall(provium.vm, provium, "outer", "default")
    assert(not ok and err:find("already declared at parent scope", 1, true))
  end)
  assert_eq(inner:state(), "shutdown")
  assert_eq(provium.inner, nil)
  assert_eq(outer:state(), "booted")
end)

test("a job of an earlier boot is gone, and says so", function()
  local g = provium.create("default"):boot()
  local job = g:background("sleep 1000")
  g:shutdown()
  g:boot()
  local ok, err = pcall(g.job_wait, g, job, 0)
  assert(not ok and err:find("ended with an earlier boot of that vm", 1, true), err)
end)
