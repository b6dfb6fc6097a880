/** A VM on disk, and the ways from a running VM to there. What is written where is up to the ports. */

import { HostError } from "../errors/errors.ts";
import { after, monotonic, type Op } from "../sys/op.ts";
import type { VmDisks } from "./disks.ts";
import type { SavedNic } from "./link.ts";
import { MANIFEST, type Manifest, readManifest, type SavedLaunch, writeManifest } from "./manifest.ts";
import type { LaunchSpec, ParkedSession, SnapshotFiles } from "./ports.ts";
import type { Session } from "./session.ts";

/** An agent that does not come to rest within this is in a guest that hangs. */
const REST_MS = 20_000;

/** The VM that is saved. */
export interface SavedVm {
  readonly name: string;
  readonly profile: { readonly name: string };
}

/** Where a snapshot was taken in this very file: its handles are known here. */
export interface SnapshotOrigin {
  readonly vm: SavedVm;
  readonly line: readonly number[];
  readonly parked: ParkedSession;
}

export class Snapshot {
  constructor(
    readonly directory: string,
    readonly manifest: Manifest,
    readonly origin?: SnapshotOrigin,
  ) {}
}

/** The snapshot in a directory. HostError naming what is missing or damaged. */
export const readSnapshot = (files: SnapshotFiles, directory: string): Snapshot =>
  new Snapshot(directory, readManifest(files.read(directory, MANIFEST), `${directory}/${MANIFEST}`));

/** Whether both are of the very same files. */
export const sameImage = (a: Snapshot, b: Snapshot): boolean =>
  JSON.stringify(a.manifest.image) === JSON.stringify(b.manifest.image);

/** What of a machine a snapshot keeps. */
export const savedLaunch = (spec: LaunchSpec): SavedLaunch => {
  const { name: _name, directory: _directory, saved: _saved, nics: _nics, disks: _disks, ...launch } = spec;
  return launch;
};

/** What the VM does meanwhile. */
export interface SavingHooks {
  /** The past that the snapshot has; from here on handles are made in another present. */
  branch(): readonly number[];
  took(snapshot: Snapshot, durationMs: number): void;
  ended(): void;
}

/**
 * A running machine brought to rest, written, and set going again, step by step: the VMs of a lab take each step
 * together. `end` must follow whatever happens; it leaves the machine running.
 */
export class Saving {
  private parked: ParkedSession | undefined;
  private stopped = false;
  private readonly started = monotonic();

  constructor(
    readonly vm: SavedVm,
    private readonly session: Session,
    private readonly spec: LaunchSpec,
    private readonly nics: readonly SavedNic[],
    private readonly disks: VmDisks,
    private readonly files: SnapshotFiles,
    private readonly hooks: SavingHooks,
  ) {}

  /** The agent finishes what it is saying. */
  *rest(): Op<void> {
    this.parked = yield* this.session.guest.park(after(REST_MS));
  }

  *stop(): Op<void> {
    // First: should this be interrupted, the order may have reached the machine.
    this.stopped = true;
    yield* this.session.machine.pause();
  }

  /** Writes everything into a directory, which it makes; nothing is left of it on failure. */
  *write(directory: string): Op<Snapshot> {
    const { session, spec, files, vm, parked } = this;
    if (parked === undefined || !this.stopped) throw new Error("a machine is saved while it is at rest");
    files.create(directory);
    let whole = false;
    try {
      const image = yield* session.machine.save(directory);
      const disks = yield* this.disks.save(files, directory);
      const manifest: Manifest = {
        vm: vm.name,
        profile: vm.profile.name,
        launch: savedLaunch(spec),
        cid: session.machine.cid,
        image,
        guest: session.guest.identity,
        session: parked.mark,
        nics: this.nics,
        disks,
      };
      files.write(directory, MANIFEST, writeManifest(manifest));
      whole = true;
      const snapshot = new Snapshot(directory, manifest, { vm, line: this.hooks.branch(), parked });
      this.hooks.took(snapshot, monotonic() - this.started);
      return snapshot;
    } catch (error) {
      throw noSpace(error, directory);
    } finally {
      if (!whole) files.remove(directory);
    }
  }

  /** The machine goes on. */
  *end(): Op<void> {
    try {
      if (this.stopped && this.session.broken === undefined) yield* this.session.machine.resume();
    } finally {
      this.stopped = false;
      if (this.session.isOpen) this.session.guest.unpark();
      this.hooks.ended();
    }
  }
}

const noSpace = (error: unknown, directory: string): unknown => {
  const { code } = error as { code?: string };
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new HostError(`no space for a snapshot in ${directory}`, {
    cause: error,
    hint: "give vm:snapshot a path on a larger file system, or delete snapshots that are not needed any more",
  });
};
