/** What the VMs of one test file share: the ports, and what the run has decided. */

import type { Emit } from "../events/types.ts";
import type { Tended } from "../sys/reactor.ts";
import type { OpenDisk, OpenGuest, Rehearse, ResumeGuest, Services, SnapshotFiles, Vmm } from "./ports.ts";

export interface VmHost {
  readonly vmm: Vmm;
  readonly openGuest: OpenGuest;
  readonly openDisk: OpenDisk;
  readonly resumeGuest: ResumeGuest;
  readonly rehearse: Rehearse;
  readonly snapshots: SnapshotFiles;
  readonly services: Services;
  /** Snapshots are made to be restored often, so they are of guests at rest. */
  readonly settles?: boolean;
  /** Lets something go on while anybody waits; what is returned ends that. */
  tend(tended: Tended): () => void;
  readonly emit: Emit;
  /** Every operation in a guest becomes an event. */
  readonly operations?: boolean;
  /** The test file as events name it. */
  readonly file: string;
  readonly accel: "kvm" | "tcg";
  readonly transport: "vsock" | "serial";
  /** Makes a directory of its own for one life of a VM and returns its path. */
  directory(vm: string): string;
  /** Removes one that `directory` has made. Never fails. */
  discard(directory: string): void;
  /** What a machine of that name draws from when nobody says otherwise: the run's seed is in it, and the file. */
  seed(vm: string): bigint;
  /** Throws ApiError unless the host file can be read. */
  checkHostFile(path: string, what: string): void;
}
