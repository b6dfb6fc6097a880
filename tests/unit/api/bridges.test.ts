import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { HostError } from "../../../src/errors/errors.ts";
import { until } from "../../../src/sys/op.ts";
import { at, type FakeMachine } from "../lab/fakes.ts";
import { type World, world } from "./world.ts";

let here: World;
beforeEach(() => {
  here = world();
  here.lua(`a = provium:vm("a", "default"); b = provium:vm("b", "default"); lan = provium:bridge("lan")`);
});
afterEach(() => here.close());

const lua = (code: string): unknown => here.lua(code)[0];
const refusal = (code: string): string =>
  String(lua(`local ok, why = pcall(function() ${code} end) return why`));
const lastPairs = () =>
  here.network.plans.at(-1)?.pairs.map(({ from, to, cut }) => `${from}-${to}${cut ? " cut" : ""}`);

describe("membership", () => {
  test("a VM that runs is plugged in at once, one that does not when it boots", () => {
    lua("a:boot() lan:attach({ a, b })");
    expect(here.machines[0]?.calls).toEqual(["plug n1"]);
    lua("b:boot()");
    expect(here.machines[1]?.spec.nics?.map(({ id, up }) => [id, up])).toEqual([["n2", true]]);
    expect(lua("return table.concat(lan:members(), ' ')")).toBe("a b");
  });

  test("nothing is opened on the host before a member runs", () => {
    lua("lan:attach({ a, b }) lan:add_latency(5) lan:partition(a, b)");
    expect(here.network.opened).toBe(0);
    lua("a:boot()");
    expect(here.network.opened).toBe(1);
  });

  test("the agent is told addresses, and every member's hosts file has every name", () => {
    lua("provium:boot() lan:attach({ a, b })");
    expect(here.guests[0]?.interfaces[0]?.addresses).toEqual(["10.89.0.10/24", "fd70:a59:0:7600::a/64"]);
    for (const guest of here.guests)
      expect(guest.hosts.split("\n").filter((line) => !line.includes("ip6"))).toEqual([
        "10.89.0.10\ta.lan a",
        "10.89.0.11\tb.lan b",
        "",
      ]);
    expect(lua("return lan:ip('b')")).toBe("10.89.0.11");
  });

  test("a detached VM leaves the hosts files, and loses its interface", () => {
    lua("provium:boot() lan:attach({ a, b }) lan:detach(b)");
    expect(here.guests[0]?.hosts).not.toContain("b.lan");
    expect(here.guests[1]?.hosts).toBe("");
    expect(here.machines[1]?.calls).toContain("unplug n2");
    expect(here.network.notes).toContain("close port 2");
  });

  test("an interface that is plugged in gets no place in which another one still sits", () => {
    lua("wan = provium:bridge('wan') west = provium:bridge('west') lan:attach(a) a:boot()");
    const machine = here.machines[0]!;
    const slots = machine.spec.nics?.map(({ slot }) => slot) ?? [];
    let plugged = false;
    machine.plugNic = (nic) =>
      at(() => {
        slots.push(nic.slot);
        plugged = true;
      });
    // The guest lets go of the first one too late.
    machine.unplugNic = function* () {
      yield* until(() => plugged);
      return false;
    };
    lua("provium:parallel(function() lan:detach(a) end, function() wan:attach(a) end)");
    lua("west:attach(a)");
    expect(slots).toEqual([31, 30, 29]);
    // Of the next machine they are free.
    lua("west:detach(a) a:kill() a:boot() wan:detach(a) a:kill() lan:attach(a) a:boot()");
    expect(here.machines[2]?.spec.nics?.map(({ slot }) => slot)).toEqual([31]);
  });

  test("the name of a VM that is still to come attaches it when it does", () => {
    lua(`lan:attach({ "late" }) late = provium:vm("late", "default"):boot()`);
    expect(here.machines[0]?.spec.nics).toHaveLength(1);
    expect(lua("return lan:ip(late)")).toBe("10.89.0.10");
  });

  test("names resolve to VMs of the lab", () => {
    lua(`provium:boot() lan:attach({ "a", "b" })`);
    expect(here.machines.map(({ calls }) => calls)).toEqual([["plug n1"], ["plug n2"]]);
  });

  test("a bridge is a member of its lab, by name and by dot", () => {
    expect(lua("return provium.lan == lan and provium:bridge('lan') == lan")).toBe(true);
    expect(lua("return provium:bridge_names()[1] .. provium:members()[3].kind")).toBe("lanbridge");
  });

  test("a file's bridge outlives a test, one of a test does not", () => {
    lua("provium:boot()");
    here.surface.enterTest("t");
    lua(`mine = provium:bridge("mine") mine:attach(a) lan:attach(a)`);
    here.state.reactor.run(here.surface.leaveTest());
    expect(lua("return provium.mine == nil and #lan:members()")).toBe(1);
    expect(here.machines[0]?.calls.filter((call) => call.startsWith("unplug"))).toEqual(["unplug n1"]);
  });

  test("the end of the file ends what carries the frames", () => {
    lua("provium:boot() lan:attach({ a, b })");
    here.state.reactor.run(here.surface.closeFile());
    expect(here.network.notes.at(-1)).toBe("close network");
  });
});

describe("bad input", () => {
  for (const [code, why] of [
    ["lan:attach(a) lan:attach(a)", "vm `a` is attached to bridge `lan` already"],
    ["lan:attach({ a, b, a })", "vm `a` is named twice"],
    ["lan:attach({ a, {} })", "(a vm, its name or an array of them expected, got table)"],
    ["lan:detach(b)", "vm `b` is not attached to bridge `lan` (known: none)"],
    ["lan:attach(a) lan:partition(a, b)", "vm `b` is not attached to bridge `lan`"],
    ["lan:attach(a) lan:partition(a, b)", "bridge:attach first"],
    ["lan:attach(a) lan:partition(a, a)", "both ends are vm `a`"],
    ["lan:attach({ a, b }) lan:partition({ from = a })", "bridge:partition.to"],
    ["lan:attach({ a, b }) lan:partition({ from = a, too = b })", "unknown key 'too'"],
    ["lan:add_latency(-1)", "bridge:add_latency: ms must be milliseconds from 0 to 600000"],
    ["lan:add_latency(1e9)", "milliseconds from 0 to 600000"],
    ["lan:add_latency(0/0)", "milliseconds from 0 to 600000"],
    ["lan:drop_rate(101)", "bridge:drop_rate: percent must be a percentage from 0 to 100, got number 101"],
    ["lan:attach(5)", "(a vm, its name or an array of them expected, got number 5)"],
    ["lan:attach({ a, true })", "(a vm, its name or an array of them expected, got boolean true)"],
    ["lan:partition(a)", "bad argument #2 to 'partition' (a vm or its name expected, got nil)"],
    ["lan:partition{ from = 5, to = a }", "bridge:partition.from: a vm or its name expected, got number 5"],
    ["lan:route(5)", "a bridge, its name or an array of them expected, got number 5"],
    [
      "lan:add_latency('soon')",
      'ms must be milliseconds from 0 to 600000, or a text such as "20ms", got string "soon"',
    ],
    ["lan:add_latency('1h')", 'got string "1h"'],
    ["lan:add_directional_latency{ from = 'a', to = 'b' }", "bridge:add_directional_latency: ms must be"],
    ["lan:drop_rate()", "a percentage from 0 to 100, got nil"],
    ["lan:bandwidth_limit('fast')", "bits per second"],
    ["lan:bandwidth_limit{ from = 'a', to = 'b', bps = 5 }", "vm `a` is not attached"],
    ["lan:isolate('ghost')", "vm `ghost` is not attached"],
    ["provium:bridge('lan', { mtu = 9000 })", "exists already"],
    ["provium:bridge('x', { mtu = 70000 })", "opts.mtu must be an integer from 576 to 9216"],
    ["provium:bridge('x', { subnets = '' })", 'unknown key `subnets` (did you mean "subnet"?)'],
    ["provium:bridge('x', { subnet = '10.89.0.0/16' })", "overlaps 10.89.0.0/24 of bridge `lan`"],
    ["provium:bridge('x', { dhcp = true, addressing = 'none' })", "exclude each other"],
    ["provium:bridge('pack')", "`pack` is a reserved name"],
    [
      "lan:attach(a) lan:nic(a):capture()",
      "vm `a` has no TAP on bridge `lan` (not booted?). Call lab:boot() / vm:boot() first.",
    ],
    ["lan:attach(a) a:nic('wan')", "has no interface `wan`"],
    ["lan:route('lam')", 'bridge `lam` not found (did you mean "lan"?)'],
    ["lan:unroute({})", "a bridge, its name or an array of them expected"],
    ["lan:enable_uplink('user') lan:enable_uplink('masquerade')", 'has an uplink already, by "user"'],
    ["lan:enable_uplink('tunnel')", 'no way "tunnel" (known: masquerade, user)'],
    ["lan:route(lan)", "cannot be routed to itself"],
    ["a:boot() a:pause() lan:attach(a)", "vm `a` is paused"],
    ["lan:close() lan:attach(a)", "bridge `lan` is closed"],
  ] as const)
    test(`${code}: ${why}`, () => expect(refusal(code)).toContain(why));

  test("an array with one bad entry attaches nobody", () => {
    refusal("provium:boot() lan:attach({ a, 5 })");
    expect(lua("return #lan:members()")).toBe(0);
  });

  test("an array with one VM that takes no interface attaches nobody, a name that is to come included", () => {
    lua("a:boot()");
    const machine = here.machines[0] as FakeMachine;
    machine.plugNic = () =>
      at(() => {
        throw new HostError("no slot left");
      });
    expect(refusal("lan:attach({ a, 'late' })")).toContain("no slot left");
    expect(lua("return #lan:members()")).toBe(0);
  });

  test("a subnet that is full says so", () => {
    lua(`small = provium:bridge("small", { subnet = "10.1.1.0/28" })`);
    for (let n = 0; n < 5; n++) lua(`small:attach(provium:vm("v${n}", "default"))`);
    expect(refusal(`small:attach(a)`)).toContain("no address left in 10.1.1.0/28");
  });
});

describe("what is wrong by wish", () => {
  test("holds at once for running members and is in the plan before a frame can pass", () => {
    lua("provium:boot() lan:attach({ a, b }) lan:partition({ from = b, to = a })");
    expect(lastPairs()).toEqual(["2-1 cut"]);
    expect(lua("return lan:is_partitioned(b, a) and not lan:is_partitioned(a, b)")).toBe(true);
    lua("lan:unpartition({ from = b, to = a })");
    expect(lastPairs()).toEqual([]);
  });

  test("can be read back", () => {
    lua("lan:attach({ a, b }) lan:add_latency{ from = a, to = b, ms = 80, jitter = 2.5 } lan:isolate(b)");
    expect(lua("return json.encode(lan:impairments()[1])")).toContain('"latency_ms":80');
    expect(lua("return lan:impairments()[1].jitter_ms")).toBe(2.5);
    expect(lua("return lan:impairments()[2].partitioned and lan:latency_ms() == 0")).toBe(true);
  });

  test("unpartition of detached ends in table form does nothing", () => {
    expect(refusal("lan:unpartition({ from = 'x', to = 'y' })")).toBe("undefined");
  });

  test("a pulled cable is seen by the guest and cut in the plan, also when pulled before the boot", () => {
    lua("lan:attach({ a, b }) lan:nic(a):disconnect() provium:boot()");
    expect(here.machines[0]?.spec.nics?.[0]?.up).toBe(false);
    lua("lan:nic(a):reconnect() lan:nic('b'):disconnect()");
    expect(here.machines[1]?.calls).toContain("link n2 down");
  });

  test("routes and uplink reach the guests", () => {
    lua(`wan = provium:bridge("wan") lan:attach(a) wan:attach(b) provium:boot() lan:route(wan)`);
    expect(here.network.notes).toContain("route");
    expect(here.guests[0]?.interfaces.at(-1)?.routes).toEqual([
      "10.89.1.0/24 10.89.0.1",
      "fd70:a59:100:7600::/64 fd70:a59:0:7600::1",
    ]);
    lua("lan:enable_uplink()");
    expect(here.guests[0]?.interfaces.at(-1)?.routes).toContain("0.0.0.0/0 10.89.0.2");
    lua("lan:disable_uplink()");
    expect(here.guests[0]?.interfaces.at(-1)?.dropRoutes).toEqual(["0.0.0.0/0 10.89.0.2"]);
  });

  test("a change that the backend refuses has changed nothing, and the next one holds", () => {
    lua("lan:attach({ a, b }) provium:boot() lan:add_latency{ from = 'a', to = 'b', ms = 5 }");
    here.network.refuses = ({ pairs }) => pairs.some(({ impairment }) => impairment.loss !== undefined);
    expect(refusal("lan:drop_rate(5)")).toContain("this kernel cannot do that");
    expect(lua("return lan:drop_rate_pct() .. ' ' .. #lan:impairments()")).toBe("0 1");
    expect(here.network.plans.at(-1)?.pairs.map(({ impairment }) => impairment)).toEqual([
      { latencyNs: 5_000_000 },
    ]);
    lua("lan:partition(a, b)");
    expect(lua("return lan:is_partitioned(a, b)")).toBe(true);
    const told = here.events.flatMap(({ kind, payload }) =>
      kind === "bridge_changed" ? [payload.change] : [],
    );
    expect(told).toEqual(["attached", "impaired", "partitioned"]);
  });

  test("a change that is refused takes nothing from one that another task makes meanwhile", () => {
    lua("lan:attach({ a, b }) provium:boot()");
    here.network.applyMs = [5, 5, 5];
    here.network.refuses = ({ pairs }) => pairs.some(({ impairment }) => impairment.loss !== undefined);
    lua(`provium:parallel(
      function() refused = not pcall(function() lan:drop_rate(5) end) end,
      function() lan:partition(a, b) end)`);
    expect(lua("return refused and lan:is_partitioned(a, b) and lan:drop_rate_pct() == 0")).toBe(true);
    expect(lastPairs()).toEqual(["1-2 cut", "2-1 cut"]);
  });

  test("members that boot together have the plan of all of them, however long the host takes for the first one's", () => {
    lua("lan:attach({ a, b }) lan:partition(a, b)");
    here.network.applyMs = [100];
    lua("provium:boot()");
    expect(here.network.plans.length).toBe(2);
    expect(here.network.inForce?.pairs.map(({ cut }) => cut)).toEqual([true, true]);
  });

  test("a boot that is interrupted while its plan is put in force holds up no other", () => {
    lua("lan:attach({ a, b }) lan:partition(a, b)");
    here.network.applyMs = [600_000];
    expect(refusal("provium:parallel(function() a:boot() end, function() error('no luck') end)")).toContain(
      "no luck",
    );
    lua("provium:boot()");
    expect(here.network.inForce?.pairs.map(({ cut }) => cut)).toEqual([true, true]);
  });

  test("what was wished for a VM that is still to come ends with its detaching, and all of it with the bridge", () => {
    lua("lan:attach({ a, 'late' }) lan:partition('a', 'late') lan:detach('late') lan:attach('late')");
    expect(lua("return lan:is_partitioned('a', 'late')")).toBe(false);
    lua("lan:close()");
    expect(lua("return #lan:members()")).toBe(0);
    expect(refusal("lan:capture()")).toContain("bridge:capture: bridge `lan` is closed");
  });

  test("tasks that ask for a way out at the same time get the same one", () => {
    lua("lan:attach({ a, b }) provium:boot()");
    lua("provium:parallel(function() lan:enable_uplink() end, function() lan:enable_uplink() end)");
    lua("provium:parallel(function() lan:disable_uplink() end, function() lan:disable_uplink() end)");
    expect(here.network.notes.filter((note) => note.includes("uplink"))).toEqual([
      "uplink 10.89.0.0/24",
      "end uplink 10.89.0.0/24",
    ]);
  });

  test("a paused member hears of what changed when it goes on", () => {
    lua("lan:attach({ a, b }) provium:boot() a:pause()");
    const machine = here.machines[0]!;
    const before = machine.calls.length;
    const hosts = () => here.guests[0]?.hosts;
    lua("c = provium:vm('c', 'default'):boot() lan:attach(c)");
    expect(hosts()).not.toContain("c.lan");
    lua("a:resume()");
    expect(hosts()).toContain("c.lan");
    lua("a:pause() lan:detach(a)");
    expect(machine.calls.slice(before).some((call) => call.startsWith("unplug"))).toBe(false);
    lua("a:resume()");
    expect(machine.calls.at(-1)).toStartWith("unplug");
    expect(hosts()).not.toContain("c.lan");
  });

  test("a disk of a test goes with it, also from a paused machine: when that goes on, or ends", () => {
    for (const end of ["a:resume()", "a:kill()"]) {
      here.surface.enterTest("t");
      lua("d = a:attach_disk{ id = 'data', size = '1M' } a:boot() a:pause()");
      expect([...here.state.reactor.run(here.surface.leaveTest())]).toEqual([]);
      expect(lua("return d:is_detached()")).toBe(false);
      lua(end);
      expect(lua("return d:is_detached() and #a:disks() == 0")).toBe(true);
      lua("a:kill()");
    }
  });

  test("a VM that is called like a member is none", () => {
    lua("other = provium:lab('other'):vm('a', 'default') lan:attach({ a, b })");
    const words = "not this vm but another one called `a` is attached to bridge `lan`";
    for (const call of [
      "nic(other)",
      "partition(b, other)",
      "drop_rate{ from = other, to = b, p = 5 }",
      "detach(other)",
    ])
      expect(refusal(`lan:${call}`)).toContain(words);
    expect(lua("return #lan:members()")).toBe(2);
    expect(refusal("lan:attach(other)")).toContain("another vm `a` is attached to bridge `lan` already");
  });

  test("the interface of a VM that is still to come is one that has not booted", () => {
    lua("lan:attach('late') n = lan:nic('late')");
    expect(lua("return n:counters().rx_bytes .. tostring(n:is_connected())")).toBe("0true");
    expect(refusal("n:capture()")).toContain("vm `late` has no TAP on bridge `lan` (not booted?)");
    expect(refusal("n:mac()")).toContain("nic:mac: vm `late` on bridge `lan` does not exist yet");
    lua("n:disconnect() n:disconnect()");
    expect(lua("return n:is_connected()")).toBe(false);
    lua("late = provium:vm('late', 'default'):boot()");
    expect(here.machines.at(-1)?.spec.nics?.map(({ up }) => up)).toEqual([false]);
    lua("n:reconnect()");
    expect(lua("return n:is_connected()")).toBe(true);
  });

  test("a latency counts milliseconds, as a number, as digits, and as a text with a unit", () => {
    lua("lan:attach({ a, b })");
    expect(
      ["20", "'20'", "'20ms'", "'0.02s'"].map((ms) => lua(`lan:add_latency(${ms}) return lan:latency_ms()`)),
    ).toEqual([20, 20, 20, 20]);
  });

  test("every change is an event", () => {
    lua("lan:attach({ a, b }) lan:drop_rate(5)");
    const told = here.events
      .filter(({ kind }) => kind === "bridge_changed")
      .map(({ payload }) => payload.change);
    expect(told).toEqual(["attached", "impaired"]);
  });

  test("counters are the guest's, zeros before the boot; a capture gives its bytes", () => {
    lua("lan:attach({ a, b })");
    expect(lua("return lan:nic(a):counters().tx_bytes")).toBe(0);
    lua("provium:boot()");
    expect(lua("return a:nic('eth0'):counters().tx_packets")).toBe(4);
    expect(
      lua("local c = lan:nic(a):capture() local s = c:bytes() c:close() return s .. tostring(c:eof())"),
    ).toBe("pcaptrue");
  });

  test("the bytes of a capture wait for what its recorder has seen and not written yet", () => {
    lua("lan:attach({ a, b }) provium:boot()");
    here.network.late.push(" and", " more");
    expect(lua("return lan:capture():bytes()")).toBe("pcap and more");
    here.network.late.push(" too late");
    expect(lua("return lan:capture():bytes(0)")).toBe("pcap");
  });

  test("a capture is read as every other stream, and has nothing to read once it is closed", () => {
    lua("lan:attach({ a, b }) provium:boot() c = lan:capture()");
    expect(lua("return c:read_until('ca', 5) .. '|' .. c:next(5) .. '|' .. c:bytes()")).toBe("pca|p|pcap");
    expect(lua("return #c:drain(0)")).toBe(0);
    expect(refusal("c:expect('pcap', 0)")).toContain("read_until timed out waiting for `pcap`");
    lua("c:close() d = lan:capture() d:close()");
    expect(lua("return tostring(d:next(0)) .. #d:drain(0) .. tostring(d:eof()) .. d:bytes()")).toBe(
      "nil0truepcap",
    );
    for (const call of ["d:read_until('p')", "d:expect('p')"])
      expect(refusal(call)).toContain("capture closed");
  });

  test("a backend that has died is the error of the next call", () => {
    lua("provium:boot() lan:attach(a)");
    here.network.death = new Error("the switch is gone");
    expect(refusal("lan:attach(b)")).toContain("the switch is gone");
  });
});
