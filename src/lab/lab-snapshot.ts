/**
 * Several VMs on disk: a directory with an index, `lab.json`, and one snapshot a VM beside it. All of them come to
 * rest and are stopped together before the first is written, so what one has told another is in both.
 */

import { join } from "node:path";
import { ApiError, HostError } from "../errors/errors.ts";
import { all, type Op } from "../sys/op.ts";
import type { SnapshotFiles } from "./ports.ts";
import { isSavedBridge, type SavedBridge } from "./saved-bridge.ts";
import type { Saving, Snapshot } from "./snapshot.ts";
import type { Vm } from "./vm.ts";

export const LAB_MANIFEST = "lab.json";
/** Grows when an older provium could not read it. */
const FORMAT = 1;

/** One VM of a saved lab. */
export interface SavedMember {
  readonly name: string;
  readonly profile: string;
  /** Its snapshot, in the directory of the lab. */
  readonly snapshot: string;
}

export interface LabManifest {
  readonly lab: string;
  readonly vms: readonly SavedMember[];
  /** The lab's own bridges. */
  readonly bridges: readonly SavedBridge[];
}

/** Saves VMs, each booted, at one moment, each into a directory of its own; they go on. `often`: they will be restored often. */
export function* saveTogether(
  vms: readonly Vm[],
  directories: readonly string[],
  often = false,
): Op<Snapshot[]> {
  yield* all(vms.map((vm) => vm.snapshots.settle(often)));
  const savings: Saving[] = [];
  try {
    for (const vm of vms) savings.push(yield* vm.snapshots.begin());
    yield* all(savings.map((saving) => saving.rest()));
    yield* all(savings.map((saving) => saving.stop()));
    return yield* all(savings.map((saving, i) => saving.write(directories[i] as string)));
  } finally {
    yield* all(savings.map((saving) => saving.end()));
  }
}

/** Writes VMs into a directory, which is made for them; nothing is left of it on failure. */
export function* saveLab(
  lab: string,
  vms: readonly Vm[],
  bridges: readonly SavedBridge[],
  files: SnapshotFiles,
  directory: string,
): Op<LabManifest> {
  if (vms.length === 0)
    throw new ApiError(`lab \`${lab}\` has no VMs to save`, {
      hint: "A lab is its direct VMs. Inside a test `provium` is the lab of that test; the file's VMs are saved at its top level.",
    });
  for (const vm of vms) yield* vm.snapshots.checkSave();
  const members = vms.map(({ name, profile }) => ({
    name,
    profile: profile.name,
    snapshot: `${encodeURIComponent(name)}.snap`,
  }));
  const manifest = { provium_lab_snapshot: FORMAT, lab, vms: members, bridges };
  files.create(directory);
  let whole = false;
  try {
    yield* saveTogether(
      vms,
      members.map(({ snapshot }) => join(directory, snapshot)),
    );
    files.write(directory, LAB_MANIFEST, `${JSON.stringify(manifest, null, 2)}\n`);
    whole = true;
    return manifest;
  } finally {
    if (!whole) files.remove(directory);
  }
}

/** Its snapshot lies in the directory of the lab, nowhere else. */
const isMember = (value: unknown): value is SavedMember => {
  const { name, profile, snapshot } = (value ?? {}) as Record<string, unknown>;
  const texts = [name, profile, snapshot].every((text) => typeof text === "string" && text !== "");
  return texts && !/^\.{1,2}$|\//.test(snapshot as string);
};

/** The index of a saved lab. HostError naming what is missing or wrong. */
export const readLab = (files: SnapshotFiles, directory: string): LabManifest => {
  const path = join(directory, LAB_MANIFEST);
  const damaged = (what: string): HostError =>
    new HostError(`${path} ${what}`, { hint: "take the snapshot of the lab anew" });
  let content: unknown;
  try {
    content = JSON.parse(files.read(directory, LAB_MANIFEST));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw damaged(`is no index of a lab's snapshot: ${cause.message}`);
    throw cause;
  }
  const { provium_lab_snapshot: format, lab, vms, bridges } = (content ?? {}) as Record<string, unknown>;
  if (format !== FORMAT) throw damaged(`has format ${format}, and this provium reads ${FORMAT}`);
  if (typeof lab !== "string" || !Array.isArray(vms) || !vms.every(isMember) || vms.length === 0)
    throw damaged("is incomplete");
  if (!Array.isArray(bridges) || !bridges.every(isSavedBridge)) throw damaged("is incomplete: bridges");
  return { lab, vms, bridges };
};

/** Ends those VMs that run, for they go on from their parts. Throws before the first is ended when one of them cannot. */
export function* leaveFor(
  directory: string,
  members: readonly SavedMember[],
  vms: readonly Vm[],
): Op<readonly Snapshot[]> {
  for (const vm of vms) yield* vm.snapshots.checkReturn();
  const parts = members.map(({ snapshot }, i) => (vms[i] as Vm).snapshots.known(join(directory, snapshot)));
  for (const vm of vms) vm.snapshots.leave();
  return parts;
}

/** Has each VM, of which none runs, go on from its part, side by side; when one cannot, none of them runs. */
export function* restoreLab(parts: readonly Snapshot[], vms: readonly Vm[]): Op<void> {
  try {
    yield* all(parts.map((part, i) => (vms[i] as Vm).snapshots.restore(part)));
  } catch (error) {
    for (const vm of vms) vm.kill();
    throw error;
  }
}
