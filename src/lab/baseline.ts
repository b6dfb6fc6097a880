/**
 * `reset_between_tests`: the VMs of the file's lab as they stood before the first test, and the way back to there
 * after each. The machines that the next test gets are started while this one runs.
 */

import { all, monotonic, type Op } from "../sys/op.ts";
import { saveTogether } from "./lab-snapshot.ts";
import type { Network } from "./network.ts";
import type { SnapshotFiles } from "./ports.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Vm } from "./vm.ts";
import type { Prepared } from "./vm-snapshots.ts";

/** One VM: how it stood, and the machine that waits to be it. */
interface Place {
  readonly vm: Vm;
  /** Undefined: it did not run. */
  readonly snapshot: Snapshot | undefined;
  next?: Prepared | undefined;
}

/** A test that lasts so long leaves the next machine time to rehearse; those that follow it may last as long. */
const LASTING_MS = 300;

export class Baseline {
  private since = monotonic();
  private lasting = true;

  private constructor(
    private readonly files: SnapshotFiles,
    private readonly directories: readonly string[],
    private readonly places: readonly Place[],
    /** Puts back what was wrong on the bridges, and what they led to. */
    private readonly bridges: () => Op<void>,
  ) {}

  /** Saves those that run. */
  static *take(vms: readonly Vm[], network: Network, files: SnapshotFiles): Op<Baseline> {
    const running = vms.filter((vm) => vm.running);
    const directories = running.map((vm) => files.fresh(`${vm.name}-baseline`));
    const snapshots = yield* saveTogether(running, directories, true);
    const of = new Map(running.map((vm, i) => [vm, snapshots[i] as Snapshot]));
    return new Baseline(
      files,
      directories,
      vms.map((vm) => ({ vm, snapshot: of.get(vm) })),
      network.remember(),
    );
  }

  /** Starts the machines for the next way back. */
  prepare(): void {
    this.since = monotonic();
    for (const place of this.places)
      if (place.snapshot !== undefined)
        place.next ??= place.vm.snapshots.prepare(place.snapshot, this.lasting);
  }

  /** Puts every VM back, side by side. */
  *restore(): Op<void> {
    this.lasting = monotonic() - this.since >= LASTING_MS;
    this.prepare();
    yield* all(this.places.map((place) => this.back(place)));
    // Now that the guests answer again: their routes may have to change.
    yield* this.bridges();
  }

  /** Ends what waits and removes the files. Idempotent. */
  close(): void {
    for (const place of this.places) {
      place.next?.waiting?.discard();
      place.next = undefined;
    }
    for (const directory of this.directories) this.files.remove(directory);
  }

  private *back(place: Place): Op<void> {
    const { vm, next } = place;
    place.next = undefined;
    if (next !== undefined) yield* vm.snapshots.returnTo(next);
    else vm.snapshots.leave();
  }
}
