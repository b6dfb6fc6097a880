import { afterAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { DiskSpec, HostDisk, OpenDisk } from "../../../src/lab/ports.ts";
import { Vm } from "../../../src/lab/vm.ts";
import { closeFd, pipePair } from "../../../src/sys/libc.ts";
import { all, NEVER, type Op, until } from "../../../src/sys/op.ts";
import { at, FakeDisk, type FakeMachine, fakes, profile, run } from "./fakes.ts";

const writers: number[] = [];
afterAll(() => {
  for (const fd of writers) closeFd(fd);
});

const blank = (id: string): DiskSpec => ({ id, readonly: false, format: "raw", sizeBytes: 4096 });

/** A VM whose disks take a turn to open, as real ones do, and are connected through pipes. */
const booted = () => {
  const world = fakes();
  const openDisk: OpenDisk = function* (spec) {
    yield { ready: () => true, deadline: NEVER };
    const disk = new FakeDisk(spec);
    disk.connect = () =>
      at(() => {
        const [reader, writer] = pipePair();
        writers.push(writer);
        return reader;
      });
    return disk as unknown as HostDisk;
  };
  const vm = new Vm("a", profile("default"), {}, { ...world.host, openDisk }, "shutdown", function* () {});
  run(vm.boot());
  return { vm, machine: world.machines[0] as FakeMachine };
};

test("disks that tasks attach at the same time sit in slots of their own", () => {
  const { vm } = booted();
  const disks = run(all([vm.disks.attach(blank("x")), vm.disks.attach(blank("y"))]));
  expect(disks.map(({ slot }) => slot)).toEqual([1, 2]);
});

test("of two disks with one id that are attached at the same time the second is refused", () => {
  const { vm } = booted();
  const both = all([vm.disks.attach(blank("x")), vm.disks.attach(blank("x"))]);
  expect(() => run(both)).toThrow("attach_disk: vm `a` has a disk `x` already");
  // The first went down with it, and its place is free again.
  expect(run(vm.disks.attach(blank("x"))).slot).toBe(1);
});

test("a disk that has been attached leaves the connection of one that is still being attached open", () => {
  const { vm, machine } = booted();
  const lent: number[] = [];
  const isOpen = (fd: number): boolean => existsSync(`/proc/self/fd/${fd}`);
  let attached = false;
  let stillOpen: boolean | undefined;
  machine.plugDisk = function* ({ id, fd }) {
    lent.push(fd);
    yield* until(() => (id === "x" ? lent.length === 2 : attached));
    if (id === "y") stillOpen = isOpen(fd);
  };
  function* first(): Op<void> {
    yield* vm.disks.attach(blank("x"));
    attached = true;
  }
  run(all<unknown>([first(), vm.disks.attach(blank("y"))]));
  expect(stillOpen).toBe(true);
  expect(lent.map(isOpen)).toEqual([false, false]);
});
