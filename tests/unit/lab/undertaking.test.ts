import { describe, expect, test } from "bun:test";
import type { VmHost } from "../../../src/lab/host.ts";
import type { Manifest } from "../../../src/lab/manifest.ts";
import type { Guest } from "../../../src/lab/ports.ts";
import { Snapshot } from "../../../src/lab/snapshot.ts";
import { Vm } from "../../../src/lab/vm.ts";
import { after, NEVER, type Op, until } from "../../../src/sys/op.ts";
import { type FakeMachine, fakes, profile, run } from "./fakes.ts";

const world = (
  over: (host: VmHost) => Partial<VmHost> = () => ({}),
  relink: () => Op<void> = function* () {},
) => {
  const own = fakes();
  const host = { ...own.host, ...over(own.host) };
  return { ...own, own, vm: new Vm("a", profile("default"), {}, host, "shutdown", relink) };
};
/** As good as for ever; a test that comes to its end has failed. */
function* forEver(): Op<never> {
  yield* until(() => false, after(3000));
  throw new Error("waited for ever");
}
/** Lets it go on until it really waits, or to its `first` wait; what is returned goes on when that wait is over. */
const begun = (op: Op<void>, first = false): Op<void> => {
  let step = op.next();
  while (!first && !step.done && step.value.ready()) step = op.next(true);
  expect(step.done).toBe(false);
  function* rest(): Op<void> {
    while (!step.done) step = op.next(yield step.value);
  }
  return rest();
};
const states = ({ own }: ReturnType<typeof world>): unknown[] =>
  own.events.map(({ kind, payload }) => (kind === "vm_state" ? payload.state : kind));

/** Where a boot waits, and with what it waits there for ever. */
const WAITS: Record<string, (host: VmHost) => Partial<VmHost>> = {
  "for memory": ({ services }) => ({ services: { ...services, draw: forEver } }),
  "for its kernel": ({ services }) => ({ services: { ...services, boot: forEver } }),
  "for its machine": ({ vmm }) => ({ vmm: { ...vmm, launch: forEver } }),
  "for its agent": () => ({ openGuest: forEver }),
};

describe("a boot that another task calls off", () => {
  for (const [where, over] of Object.entries(WAITS)) {
    test(`while it waits ${where} ends with that order`, () => {
      const killed = world(over);
      const kill = begun(killed.vm.boot());
      killed.vm.kill();
      expect(() => run(kill)).toThrow("vm `a` was killed meanwhile");
      expect(killed.vm.state).toBe("dead");
      expect(killed.own.lent).toBe(0);

      const off = world(over);
      const boot = begun(off.vm.boot());
      run(off.vm.shutdown());
      expect(() => run(boot)).toThrow("vm `a` was shut down meanwhile");
      expect(off.vm.state).toBe("shutdown");
      expect(states(off)).toEqual(["shutdown"]);
    });
  }

  test("in the very moment in which it goes on leaves no machine, and the next boot is free", () => {
    const { vm, own } = world();
    const boot = begun(vm.boot(), true);
    vm.kill();
    expect(() => run(boot)).toThrow("vm `a` was killed meanwhile");
    expect(vm.state).toBe("dead");
    expect(own.lent).toBe(0);
    for (const machine of own.machines) expect(machine.calls).toContain("close");
    run(vm.boot());
    expect(vm.state).toBe("booted");
  });
});

test("a restore that another task calls off while bridges take the vm back ends with that order", () => {
  const { vm, own } = world(undefined, forEver);
  const launch = { memoryBytes: 2 ** 28, cpus: 1, architecture: "x86_64" };
  const manifest = { launch, nics: [], disks: [] } as unknown as Manifest;
  run(vm.boot());
  run(vm.shutdown());
  const restore = begun(vm.snapshots.restore(new Snapshot("/s", manifest)));
  vm.kill();
  expect(() => run(restore)).toThrow("vm `a` was killed meanwhile");
  expect(vm.state).toBe("dead");
  expect(own.machines).toHaveLength(1);
});

describe("a reset that another task calls off", () => {
  /** A VM in a reset whose agent does not come back. */
  const inReset = () => {
    let boots = 0;
    const all = world(({ openGuest }) => ({
      openGuest: (channel, deadline): Op<Guest> => (boots++ === 0 ? openGuest(channel, deadline) : forEver()),
    }));
    run(all.vm.boot());
    return { ...all, all, reset: begun(all.vm.reset()) };
  };

  test("by a kill ends with it", () => {
    const { vm, all, own, reset } = inReset();
    vm.kill();
    expect(() => run(reset)).toThrow("vm `a` was killed meanwhile");
    expect(vm.state).toBe("dead");
    expect(states(all)).toEqual(["vm_spawned", "dead", "vm_shutdown"]);
    expect(own.lent).toBe(0);
  });

  test("by a shutdown ends with it, although nobody can be asked to power off", () => {
    const { vm, all, reset } = inReset();
    run(vm.shutdown());
    expect(() => run(reset)).toThrow("vm `a` was shut down meanwhile");
    expect(vm.state).toBe("shutdown");
    expect(states(all)).toEqual(["vm_spawned", "shutdown", "vm_shutdown"]);
  });

  test("in the very moment in which it is done ends with it", () => {
    const { vm, own } = world();
    run(vm.boot());
    (own.machines[0] as FakeMachine).reset = function* () {
      yield { ready: () => true, deadline: NEVER };
    };
    const reset = begun(vm.reset(), true);
    vm.kill();
    expect(() => run(reset)).toThrow("vm `a` was killed meanwhile");
    expect(vm.state).toBe("dead");
  });
});

describe("a shutdown", () => {
  /** A VM in a shutdown that waits for QEMU to end. */
  const goingDown = () => {
    const all = world();
    run(all.vm.boot());
    let exited = false;
    (all.own.machines[0] as FakeMachine).waitExit = () => until(() => exited);
    const exit = (): void => {
      exited = true;
    };
    return { ...all, all, exit, shutdown: begun(all.vm.shutdown()) };
  };

  test("that two tasks order is one, for which both wait", () => {
    const { vm, all, exit, shutdown } = goingDown();
    const second = begun(vm.shutdown());
    exit();
    run(shutdown);
    run(second);
    expect(states(all)).toEqual(["vm_spawned", "shutdown", "vm_shutdown"]);
  });

  test("under which another task kills the machine tells of one end of it", () => {
    const { vm, all, exit, shutdown } = goingDown();
    vm.kill();
    exit();
    run(shutdown);
    expect(vm.state).toBe("shutdown");
    expect(states(all)).toEqual(["vm_spawned", "dead", "vm_shutdown", "shutdown"]);
  });
});
