-- A split brain: three machines choose a leader, and the network between them breaks. At no time may two lead.

local MEMBER = [[
# ORDER: all members. QUORUM: how many must see one another. The first one that is seen leads.
while :; do
  seen= count=0
  for member in $ORDER; do
    if [ $member = $ME ] || ping -c 1 -W 1 $member.lan >/dev/null 2>&1; then
      seen="$seen $member" count=$((count + 1))
    fi
  done
  set -- $seen
  [ $count -ge $QUORUM ] && leader=$1 || leader=nobody
  echo $leader >/tmp/leader.new
  mv /tmp/leader.new /tmp/leader
done
]]

local ORDER = { "one", "two", "three" }
local members = {}
for n, name in ipairs(ORDER) do members[n] = provium:vm(name, "default", { memory = "128M" }) end
local one, two, three = table.unpack(members)
local lan = provium:bridge("lan")
lan:attach(members)
provium:boot()

local function follows(vm, leader)
  vm:wait_until(function()
    return vm:run("cat /tmp/leader 2>/dev/null").stdout:trim() == leader
  end, { timeout = "60s", desc = vm:name() .. " follows " .. leader })
end

local running = {}

-- Begins anew on every machine, and waits until all follow the first.
local function elect(quorum)
  for n, vm in ipairs(members) do
    if running[n] then running[n]:kill("KILL") end
    vm:run("rm -f /tmp/leader")
    local settings = ("ME=%s QUORUM=%d ORDER='%s'\n"):format(vm:name(), quorum, table.concat(ORDER, " "))
    running[n] = vm:run_async(settings .. MEMBER)
  end
  for _, vm in ipairs(members) do follows(vm, "one") end
end

test("with a majority rule only the side of the majority has a leader", function()
  elect(2)
  lan:isolate(one)
  follows(one, "nobody")
  follows(two, "two")
  follows(three, "two")
  lan:unisolate(one)
  for _, vm in ipairs(members) do follows(vm, "one") end
end)

test("without it both sides of a partition have a leader", function()
  elect(1)
  lan:partition(one, two)
  lan:partition(one, three)
  follows(one, "one")
  follows(two, "two")
  lan:restore_all()
  follows(two, "one")
end)

test("half a cut is worse than a whole one: who hears nobody's answer is alone", function()
  elect(2)
  -- Everybody still hears three, three hears nobody.
  lan:partition({ from = one, to = three })
  lan:partition({ from = two, to = three })
  follows(three, "nobody")
  follows(two, "one")
  lan:reset()
  follows(three, "one")
end)
