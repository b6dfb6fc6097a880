/** Snapshots of one VM: taking them, and going on from one. */

import { ApiError } from "../errors/errors.ts";
import { monotonic, type Op } from "../sys/op.ts";
import type { VmDisks } from "./disks.ts";
import type { VmHost } from "./host.ts";
import { restoreSpec } from "./launch.ts";
import type { Lineage } from "./lineage.ts";
import type { SavedNic } from "./link.ts";
import type { BootOptions } from "./options.ts";
import type { LaunchSpec } from "./ports.ts";
import type { Session } from "./session.ts";
import { settled } from "./settled.ts";
import { readSnapshot, type SavedVm, Saving, type Snapshot, sameImage } from "./snapshot.ts";
import type { VmStory } from "./vm-story.ts";
import { WaitingMachine } from "./waiting-machine.ts";
import { restoreWay, type WayUp } from "./way-up.ts";

/** What taking and restoring snapshots needs of the VM. */
export interface SnapshotKeeper {
  readonly vm: SavedVm;
  readonly host: VmHost;
  readonly story: VmStory;
  readonly lineage: Lineage;
  readonly disks: VmDisks;
  /** Its network interfaces as they are. */
  nics(): readonly SavedNic[];
  /** Attaches the VM, which does not run, as a snapshot says. */
  relink(nics: readonly SavedNic[]): Op<void>;
  /** Throws unless the state allows `call`. */
  allowed(call: string): Op<void>;
  /** What runs, and what it was launched with. Throws unless the state allows `call`. */
  live(call: string): Op<{ readonly session: Session; readonly spec: LaunchSpec }>;
  options(): BootOptions;
  /** Ends the machine if there is one, because the VM goes back to a snapshot. */
  drop(): void;
  /** From no machine to one that runs; `there`: its agent answers. */
  start(way: WayUp, there: () => void): Op<void>;
}

/** The way back to a snapshot, as far as it has been prepared. Whoever does not go it discards the machine. */
export interface Prepared {
  readonly snapshot: Snapshot;
  /** Undefined where it cannot be started beside the one that runs: its ports and disks are taken. */
  readonly waiting: WaitingMachine | undefined;
}

export class VmSnapshots {
  /** The VM is being saved. */
  saving = false;
  /** Snapshots of this VM that were taken in this file, by directory. */
  private readonly taken = new Map<string, Snapshot>();

  constructor(private readonly keeper: SnapshotKeeper) {}

  /** Throws unless it could be ended and go on from a snapshot now. */
  *checkReturn(): Op<void> {
    yield* this.keeper.allowed("lab:restore");
  }

  /** What runs and would be saved. Throws unless all of it can be. */
  *checkSave(): Op<{ readonly session: Session; readonly spec: LaunchSpec }> {
    const { vm } = this.keeper;
    const live = yield* this.keeper.live("snapshot");
    // What the guest has written since its boot is in a file that only QEMU knows.
    if (live.spec.rootDisk !== undefined)
      throw new ApiError(
        `snapshot: vm \`${vm.name}\` boots from a disk image, which a snapshot does not hold`,
      );
    // The guest's kernel and virtiofsd know files of it by numbers that no other virtiofsd would know.
    if (live.spec.rootTree !== undefined)
      throw new ApiError(
        `snapshot: the root of vm \`${vm.name}\` is a tree of this host, which a snapshot does not hold`,
      );
    // Its agent comes to rest at a gate of its own, and its instruction count is not saved.
    if (live.spec.deterministic === true)
      throw new ApiError(`snapshot: vm \`${vm.name}\` is deterministic, which a snapshot does not hold`);
    return live;
  }

  /** Writes the VM into a directory, which is made for it, and goes on. */
  *take(directory: string): Op<Snapshot> {
    yield* this.settle();
    const saving = yield* this.begin();
    try {
      yield* saving.rest();
      yield* saving.stop();
      return yield* saving.write(directory);
    } finally {
      yield* saving.end();
    }
  }

  /**
   * Waits until the guest has little left to do behind its boot, which everyone who goes on from the snapshot would do
   * again, each time. `wanted`: also where snapshots are not made to be restored often.
   */
  *settle(wanted = false): Op<void> {
    const { session } = yield* this.checkSave();
    if (wanted || this.keeper.host.settles === true) yield* settled(session.machine);
  }

  /** The first step of a snapshot; `end` of what it returns must follow. Needs booted. */
  *begin(): Op<Saving> {
    const { vm, host, story, lineage } = this.keeper;
    const { session, spec } = yield* this.checkSave();
    this.saving = true;
    return new Saving(vm, session, spec, this.keeper.nics(), this.keeper.disks, host.snapshots, {
      branch: () => lineage.branch(),
      took: (snapshot, durationMs) => {
        this.taken.set(snapshot.directory, snapshot);
        story.saved(durationMs, host.snapshots.size(snapshot.directory));
      },
      ended: () => {
        this.saving = false;
      },
    });
  }

  /** The snapshot in a directory: as it was taken where that was this VM, so that its handles are known. */
  known(directory: string): Snapshot {
    const read = readSnapshot(this.keeper.host.snapshots, directory);
    const taken = this.taken.get(directory);
    return taken !== undefined && sameImage(taken, read) ? taken : read;
  }

  /** Goes on from a snapshot: of this VM, or of another one of the same kind. */
  *restore(from: Snapshot | string): Op<void> {
    yield* this.keeper.allowed("restore");
    yield* this.goOnFrom(typeof from === "string" ? this.known(from) : from);
  }

  /** Starts a machine that waits to go on from a snapshot, for a `returnTo` that is to be quick. `lasting`: not at once. */
  prepare(snapshot: Snapshot, lasting: boolean): Prepared {
    const { vm, host } = this.keeper;
    const { nics, disks } = snapshot.manifest;
    if (nics.length + disks.length > 0) return { snapshot, waiting: undefined };
    const spec = restoreSpec(vm.name, this.keeper.options(), host, snapshot, [], []);
    return { snapshot, waiting: new WaitingMachine(host, spec, snapshot.manifest, lasting) };
  }

  /** Goes back from any state; a machine that still runs is ended. */
  *returnTo({ snapshot, waiting }: Prepared): Op<void> {
    try {
      this.keeper.drop();
      yield* this.keeper.allowed("restore");
      yield* this.goOnFrom(snapshot, waiting);
    } finally {
      waiting?.discard();
    }
  }

  /** Ends the machine if there is one. */
  leave(): void {
    this.keeper.drop();
  }

  private *goOnFrom(snapshot: Snapshot, waiting?: WaitingMachine): Op<void> {
    const { vm, host, story, lineage } = this.keeper;
    const started = monotonic();
    const own = snapshot.origin?.vm === vm ? snapshot.origin : undefined;
    const way = restoreWay(
      host,
      vm.name,
      this.keeper.options(),
      snapshot,
      this.keeper.disks,
      this.keeper.relink,
      waiting,
      own && ((guest) => own.parked.revive(guest)),
    );
    yield* this.keeper.start(way, () => {
      if (own === undefined) lineage.begin();
      else lineage.goBack(own.line);
    });
    story.restored(monotonic() - started);
  }
}
