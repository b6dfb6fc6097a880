/** The machines behind fixtures: from what a fixture's file returns to a snapshot, and from a snapshot back to machines. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { ApiError, InterruptedError, ProviumError, RefusedError } from "../errors/errors.ts";
import { isShortage } from "../errors/shortage.ts";
import type { FixtureKind } from "../fixture/label.ts";
import type { Lab } from "../lab/lab.ts";
import { LAB_MANIFEST, readLab } from "../lab/lab-snapshot.ts";
import { MANIFEST } from "../lab/manifest.ts";
import type { BootOptions } from "../lab/options.ts";
import type { FixtureAnswer } from "../lab/ports.ts";
import { readSnapshot, type Snapshot } from "../lab/snapshot.ts";
import type { Vm } from "../lab/vm.ts";
import { describe } from "../lua/describe.ts";
import type { LuaValue } from "../lua/values.ts";
import type { Op } from "../sys/op.ts";
import type { Api } from "./context.ts";
import { VmHandle } from "./handles.ts";
import { LabSnapshotHandle, restoreInto } from "./lab-snapshot.ts";
import { refuseLiveStreams, SnapshotHandle } from "./snapshot.ts";

/** The snapshot is damaged, or this host cannot use it. */
export class RestoreError extends ProviumError {}

export interface FixtureSnapshot {
  readonly kind: FixtureKind;
  /** Its directory. */
  readonly snapshot: string;
}

const decoder = new TextDecoder();

const wrong = (got: string): ApiError =>
  new ApiError(`a fixture returns a snapshot; this one returned ${got}`, {
    hint: "End it with `return vm:snapshot()`, with `return provium:snapshot()` for all its VMs, or with nothing when it has one VM that runs.",
  });

/** The snapshot that a fixture's results stand for: taken now where they name a VM. `staging`: where such a one goes. */
export function* fixtureResult(api: Api, values: readonly LuaValue[], staging: string): Op<FixtureSnapshot> {
  const [value] = values;
  if (values.length > 1) throw wrong(`${values.length} values`);
  if (value instanceof VmHandle) return yield* saved(api, value.vm, staging);
  if (value instanceof SnapshotHandle) return { kind: "vm", snapshot: value.path };
  if (value instanceof LabSnapshotHandle) return { kind: "lab", snapshot: value.path };
  if (value instanceof Uint8Array) return snapshotAt(decoder.decode(value));
  if (value !== undefined) throw wrong(describe(value));
  const running = api.scopes.vms().filter((vm) => vm.state === "booted" || vm.state === "paused");
  const [only, ...others] = running;
  if (only !== undefined && others.length === 0) return yield* saved(api, only, staging);
  throw wrong(
    only === undefined
      ? "nothing, and no VM runs"
      : `nothing, and several VMs run: ${running.map((vm) => vm.name).join(", ")}`,
  );
}

/** A path that `lab:snapshot(dir)` or a script of the test's own has made. */
const snapshotAt = (directory: string): FixtureSnapshot => {
  if (existsSync(join(directory, LAB_MANIFEST))) return { kind: "lab", snapshot: directory };
  if (existsSync(join(directory, MANIFEST))) return { kind: "vm", snapshot: directory };
  throw wrong(`the path \`${directory}\`, where no snapshot is`);
};

function* saved(api: Api, vm: Vm, staging: string): Op<FixtureSnapshot> {
  refuseLiveStreams("vm:snapshot", api, [vm]);
  const directory = join(staging, "vm");
  yield* vm.snapshots.take(directory);
  return { kind: "vm", snapshot: directory };
}

/** Whether the trouble lies in the snapshot, as far as one can tell. */
const isDamage = (error: unknown): error is ProviumError =>
  error instanceof ProviumError &&
  !(error instanceof InterruptedError) &&
  !(error instanceof RefusedError) &&
  !isShortage(error);

const unfit = (error: unknown): unknown =>
  isDamage(error) ? new RestoreError(error.message, { cause: error, hint: error.hint }) : error;

/** Throws RestoreError for a snapshot that cannot be read. */
const read = <T>(work: () => T): T => {
  try {
    return work();
  } catch (error) {
    throw unfit(error);
  }
};

/** Throws RestoreError when machines cannot go on from a snapshot. */
function* going<T>(op: Op<T>): Op<T> {
  try {
    return yield* op;
  } catch (error) {
    throw unfit(error);
  }
}

/** Where a VM out of a fixture is booted again, it is the machine that it was. */
const optionsOf = ({ manifest: { launch } }: Snapshot): BootOptions => ({
  memoryBytes: launch.memoryBytes,
  cpus: launch.cpus,
});

/** A VM that goes on from the fixture: a member of `lab`, called after the fixture, or a classic one. */
export function* restoreVm(api: Api, lab: Lab | undefined, name: string, answer: FixtureAnswer): Op<Vm> {
  const { scopes } = api;
  const snapshot = read(() => readSnapshot(api.snapshots, answer.directory));
  const { profile } = snapshot.manifest;
  const options = optionsOf(snapshot);
  const vm =
    lab === undefined
      ? scopes.createClassicVm(profile, options)
      : scopes.createVm(lab, lab.freeVmName(name), profile, options);
  let up = false;
  try {
    yield* going(vm.snapshots.restore(snapshot));
    up = true;
    return vm;
  } finally {
    if (!up) scopes.discard(vm);
  }
}

/** A new sub-lab of `lab` with all VMs of the fixture. */
export function* restoreLab(api: Api, lab: Lab, answer: FixtureAnswer): Op<Lab> {
  const { scopes, snapshots } = api;
  const { directory } = answer;
  const members = read(() =>
    readLab(snapshots, directory).vms.map(({ name, snapshot }) => ({
      name,
      snapshot: readSnapshot(snapshots, join(directory, snapshot)),
    })),
  );
  const sub = lab.lab();
  let up = false;
  try {
    for (const { name, snapshot } of members)
      scopes.createVm(sub, name, snapshot.manifest.profile, optionsOf(snapshot));
    yield* going(restoreInto(api, sub, directory));
    up = true;
    return sub;
  } finally {
    if (!up) {
      for (const vm of sub.allVms()) scopes.discard(vm);
      for (const bridge of sub.ownBridges()) yield* scopes.closeBridge(bridge);
      lab.remove(sub);
    }
  }
}
