/** The ways to a running machine, and what is said when one of them fails. */

import type { Profile } from "../config/schema.ts";
import { InterruptedError, TimeoutError } from "../errors/errors.ts";
import type { Deadline, Op } from "../sys/op.ts";
import type { VmDisks } from "./disks.ts";
import type { VmHost } from "./host.ts";
import { bootSpec, checkRestore, isEmulated, restoreSpec } from "./launch.ts";
import type { SavedNic } from "./link.ts";
import type { BootOptions } from "./options.ts";
import { type BootBound, bootBound, bootRequest, cpusOf, memoryOf } from "./plan.ts";
import type { BootArtefacts, DiskLink, Guest, LaunchSpec, Machine, NicSpec } from "./ports.ts";
import { consoleLines, type Session } from "./session.ts";
import type { Snapshot } from "./snapshot.ts";
import type { WaitingMachine } from "./waiting-machine.ts";

/** One of the ways to a running machine. */
export interface WayUp {
  readonly call: "boot" | "restore";
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly bound: BootBound;
  /** Attaches the VM to its bridges as it is to start; absent where it stays as it is. */
  relink?(): Op<void>;
  artefacts?(): Op<BootArtefacts>;
  disks(): Op<readonly DiskLink[]>;
  spec(
    artefacts: BootArtefacts | undefined,
    nics: readonly NicSpec[],
    disks: readonly DiskLink[],
  ): LaunchSpec;
  launch(spec: LaunchSpec, deadline: Deadline): Op<Machine>;
  open(session: Session, deadline: Deadline): Op<void>;
}

/** A boot. */
export const bootWay = (
  host: VmHost,
  name: string,
  profile: Profile,
  options: BootOptions,
  disks: VmDisks,
): WayUp => ({
  call: "boot",
  memoryBytes: memoryOf(profile, options),
  cpus: cpusOf(profile, options),
  bound: bootBound(options, isEmulated(host, profile.architecture, options)),
  artefacts: () => host.services.boot(bootRequest(profile, options, disks.all().length)),
  disks: () => disks.prepare(options.disks ?? []),
  spec: (artefacts, nics, disks) => bootSpec(name, profile, options, host, artefacts, nics, disks),
  launch: (spec, deadline) => host.vmm.launch(spec, deadline),
  open: (session, deadline) => session.open(deadline),
});

/** The way from a snapshot. `waiting`: the machine that goes it is there already. `revive`: see ResumeGuest. */
export const restoreWay = (
  host: VmHost,
  name: string,
  options: BootOptions,
  snapshot: Snapshot,
  disks: VmDisks,
  relink: (nics: readonly SavedNic[]) => Op<void>,
  waiting?: WaitingMachine,
  revive?: (guest: Guest) => void,
): WayUp => {
  const { launch, nics: attached, disks: saved } = snapshot.manifest;
  return {
    call: "restore",
    memoryBytes: launch.memoryBytes,
    cpus: launch.cpus,
    bound: bootBound(options, isEmulated(host, launch.architecture, options)),
    relink: () => relink(attached),
    disks: () => disks.goBack(saved, host.snapshots, snapshot.directory),
    spec: (_artefacts, nics, links) => {
      if (waiting === undefined) return restoreSpec(name, options, host, snapshot, nics, links);
      checkRestore(name, options, host, snapshot);
      return waiting.spec;
    },
    launch: (spec, deadline) => waiting?.take() ?? host.vmm.launch(spec, deadline),
    open: function* (session, deadline) {
      yield* session.machine.resume();
      yield* session.goOn(snapshot.manifest, host.resumeGuest, deadline, revive);
    },
  };
};

/** What a failed start says: the machine's own story, or how long was waited and what the console showed. */
export function* startError(
  label: string,
  error: unknown,
  session: Session | undefined,
  { call, bound }: WayUp,
): Op<unknown> {
  if (error instanceof InterruptedError) return error;
  if (session !== undefined && !(error instanceof TimeoutError)) yield* session.deathNews();
  const death = session?.machine.death;
  if (session !== undefined && death !== undefined) return session.deathError(call, death);
  if (!(error instanceof TimeoutError)) return error;
  const tail = session?.machine.console.tail(4096) ?? "";
  return new TimeoutError(
    `${label} did not ${call} within ${bound.text}: ${error.message}${consoleLines(tail)}`,
    {
      hint: "Give it longer with boot{boot_timeout = ...}, or see in the console lines where the guest stopped.",
    },
  );
}
