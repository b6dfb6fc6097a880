import { describe, expect, test } from "bun:test";
import { Baseline } from "../../../src/lab/baseline.ts";
import { REHEARSAL } from "../../../src/lab/guest-ports.ts";
import type { Network } from "../../../src/lab/network.ts";
import { Vm } from "../../../src/lab/vm.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { type FakeMachine, fakes, profile } from "./fakes.ts";

const bridges = { remember: () => function* () {} } as unknown as Network;
const MEMORY = profile("default").memoryBytes as number;

/** A VM that has been booted and saved, and the way back to there. */
const start = (accel: "kvm" | "tcg" = "tcg") => {
  const own = fakes(accel);
  const reactor = new Reactor();
  const vm = new Vm("a", profile("default"), {}, own.host, "shutdown", function* () {});
  reactor.run(vm.boot());
  own.guests[0]?.identity.features.push(REHEARSAL);
  const baseline = reactor.run(Baseline.take([vm], bridges, own.host.snapshots));
  return {
    own,
    vm,
    baseline,
    /** One test, which lasts for so many waits of what goes on beside it, and the way back behind it. */
    turn: (act: () => void = () => {}, waits = 0) => {
      baseline.prepare();
      for (let i = 0; i < waits; i++) for (const one of own.tended) one.advance();
      act();
      reactor.run(baseline.restore());
    },
    last: () => own.machines.at(-1) as FakeMachine,
  };
};

describe("the way back between tests", () => {
  test("is another machine, which is started while the test runs", () => {
    const { own, vm, turn } = start();
    turn(() => expect(own.machines).toHaveLength(2), 1);
    expect(own.machines.map(({ calls }) => calls.at(-1))).toEqual(["close", "resume"]);
    expect([vm.state, own.lent, own.tended.size]).toEqual(["booted", MEMORY, 0]);
  });

  test("is gone from any state", () => {
    const { own, vm, turn, last } = start();
    turn(() => vm.kill());
    turn(() => last().die("the guest's kernel panicked"));
    turn(() => new Reactor().run(vm.pause()));
    expect([own.machines.length, vm.state, own.lent]).toEqual([4, "booted", MEMORY]);
  });

  test("leaves on disk no more than the last few lives, however often it is gone", () => {
    const { own, turn, baseline } = start();
    for (let i = 0; i < 20; i++) turn();
    expect(own.directories.size).toBe(9);
    baseline.prepare();
    baseline.close();
    expect(own.directories.size).toBe(9);
  });

  test("has a rehearsal on an emulated CPU, when the test lasts long enough", () => {
    const { own, turn, last } = start();
    turn(() => expect(last().calls).toEqual(["resume", "pause"]), 20);
    expect([own.rehearsals, last().calls]).toEqual([[1], ["resume", "pause", "resume"]]);
    turn();
    expect([own.rehearsals, last().calls]).toEqual([[1], ["resume"]]);
  });

  test("has none behind a test that was over at once, but again behind one that was not", () => {
    const { own, turn } = start();
    turn();
    turn(() => Bun.sleepSync(350), 20);
    expect(own.rehearsals).toEqual([]);
    turn(() => {}, 20);
    expect(own.rehearsals).toEqual([1]);
  });

  test("has none with hardware acceleration, nor where the agent cannot", () => {
    const fast = start("kvm");
    fast.turn(() => {}, 20);
    expect(fast.own.rehearsals).toEqual([]);
    const { own, vm } = start();
    own.guests[0]?.identity.features.splice(0);
    const baseline = new Reactor().run(Baseline.take([vm], bridges, own.host.snapshots));
    baseline.prepare();
    for (let i = 0; i < 20; i++) for (const one of own.tended) one.advance();
    expect(own.rehearsals).toEqual([]);
    baseline.close();
  });

  test("is gone without a rehearsal that fails, by a machine that knows nothing of it", () => {
    const { own, vm, turn, last } = start();
    own.rehearsalFails = true;
    turn(() => {}, 20);
    expect(own.machines[1]?.calls).toEqual(["resume", "close"]);
    expect([own.machines.length, last().calls, vm.state]).toEqual([3, ["resume"], "booted"]);
  });

  test("leaves no machine behind when nobody goes it, whatever it has come to", () => {
    for (const waits of [0, 2, 20]) {
      const { own, baseline, last } = start();
      baseline.prepare();
      for (let i = 0; i < waits; i++) for (const one of own.tended) one.advance();
      baseline.close();
      baseline.close();
      expect(own.tended.size).toBe(0);
      if (own.machines.length > 1) expect(last().calls.at(-1)).toBe("close");
    }
  });

  test("that cannot be gone says why, and nothing is left of it", () => {
    const { own, vm, turn } = start();
    own.refusal = new Error("no QEMU");
    expect(() => turn()).toThrow("no QEMU");
    expect([own.lent, vm.state, own.machines[0]?.calls.at(-1)]).toEqual([0, "shutdown", "close"]);
  });
});
