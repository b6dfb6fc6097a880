import { describe, expect, test } from "bun:test";
import { leaveFor, readLab, restoreLab, type SavedMember, saveLab } from "../../../src/lab/lab-snapshot.ts";
import { Vm } from "../../../src/lab/vm.ts";
import type { Op } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { fakes, profile } from "./fakes.ts";

const trio = () => {
  const own = fakes();
  const reactor = new Reactor();
  const vms = ["a", "b", "c"].map(
    (name) => new Vm(name, profile("default"), {}, own.host, "shutdown", function* () {}),
  );
  for (const vm of vms) reactor.run(vm.boot());
  return { own, reactor, vms };
};

/** As `lab:restore` does it, bridges apart. */
function* goBack(members: readonly SavedMember[], vms: readonly Vm[]): Op<void> {
  yield* restoreLab(yield* leaveFor("/s", members, vms), vms);
}

describe("a lab's snapshot", () => {
  test("stops every VM before the first is written, and lets all of them go on", () => {
    const { own, reactor, vms } = trio();
    const order: string[] = [];
    for (const [i, machine] of own.machines.entries()) {
      const push = machine.calls.push.bind(machine.calls);
      machine.calls.push = (call: string) => {
        order.push(`${i} ${call.split(" ")[0]}`);
        return push(call);
      };
    }
    reactor.run(saveLab("trio", vms, [], own.host.snapshots, "/s"));
    expect(order.map((call) => call.slice(2))).toEqual([
      ...["pause", "pause", "pause"],
      ...["save", "save", "save"],
      ...["resume", "resume", "resume"],
    ]);
    expect(readLab(own.host.snapshots, "/s").vms.map(({ name, snapshot }) => [name, snapshot])).toEqual([
      ["a", "a.snap"],
      ["b", "b.snap"],
      ["c", "c.snap"],
    ]);
  });

  test("of which one part cannot be written leaves nothing, and its VMs go on", () => {
    const { own, reactor, vms } = trio();
    own.machines[1]!.save = () => {
      throw new Error("no luck");
    };
    expect(() => reactor.run(saveLab("trio", vms, [], own.host.snapshots, "/s"))).toThrow("no luck");
    expect([...own.files.keys()]).toEqual([]);
    for (const machine of own.machines) expect(machine.calls.at(-1)).toBe("resume");
    expect(vms.map((vm) => vm.state)).toEqual(["booted", "booted", "booted"]);
  });

  test("is restored to all VMs or to none", () => {
    const { own, reactor, vms } = trio();
    const { vms: members } = reactor.run(saveLab("trio", vms, [], own.host.snapshots, "/s"));
    reactor.run(vms[1]!.pause());
    vms[2]!.kill();
    reactor.run(goBack(members, vms));
    expect(vms.map((vm) => vm.state)).toEqual(["booted", "booted", "booted"]);
    expect(own.machines.length).toBe(6);
    const { launch } = own.host.vmm;
    own.host.vmm.launch = (spec, deadline) => {
      if (spec.name === "b") throw new Error("no luck");
      return launch.call(own.host.vmm, spec, deadline);
    };
    expect(() => reactor.run(goBack(members, vms))).toThrow("no luck");
    expect(vms.map((vm) => vm.state)).toEqual(["dead", "dead", "dead"]);
  });

  test("that is incomplete leaves those that run alone", () => {
    const { own, reactor, vms } = trio();
    const { vms: members } = reactor.run(saveLab("trio", vms, [], own.host.snapshots, "/s"));
    own.files.delete("/s/b.snap/manifest.json");
    expect(() => reactor.run(goBack(members, vms))).toThrow("there is no snapshot in /s/b.snap");
    expect(vms.map((vm) => vm.state)).toEqual(["booted", "booted", "booted"]);
    expect(own.machines.length).toBe(3);
  });
});

describe("the index of a lab's snapshot", () => {
  const read = (text: string) => {
    const { host, files } = fakes();
    files.set("/s/lab.json", text);
    return () => readLab(host.snapshots, "/s");
  };

  test.each([
    ["{", "/s/lab.json is no index of a lab's snapshot"],
    ["null", "has format undefined, and this provium reads 1"],
    ['{"provium_lab_snapshot": 2}', "has format 2, and this provium reads 1"],
    ['{"provium_lab_snapshot": 1, "lab": "x", "vms": []}', "is incomplete"],
    ['{"provium_lab_snapshot": 1, "lab": "x", "vms": [{"name": "a"}]}', "is incomplete"],
    ...["..", "../b.snap", "/b.snap", "b.snap/.."].map((snapshot): [string, string] => [
      `{"provium_lab_snapshot": 1, "lab": "x", "vms": [{"name": "a", "profile": "p", "snapshot": "${snapshot}"}], "bridges": []}`,
      "is incomplete",
    ]),
  ])("%p is refused with its path", (text, words) => {
    expect(read(text)).toThrow(words);
  });
});
