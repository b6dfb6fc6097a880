/** Snapshots as Lua sees them: `vm:snapshot`, `vm:restore` and the Snapshot that they pass around. */

import { ApiError } from "../errors/errors.ts";
import type { Snapshot } from "../lab/snapshot.ts";
import type { Vm } from "../lab/vm.ts";
import type { Args } from "../lua/args.ts";
import { defineClass, method } from "../lua/native.ts";
import type { Op } from "../sys/op.ts";
import { Capture } from "./capture.ts";
import type { Api } from "./context.ts";
import { type VmHandle, type VmMethods, vmMethod } from "./handles.ts";
import { liveStreams } from "./quiescence.ts";

/** A directory that holds a snapshot, of one VM or of several. */
export abstract class StoredSnapshot {
  protected constructor(
    readonly api: Api,
    readonly path: string,
  ) {}

  get size(): number {
    return this.api.snapshots.size(this.path);
  }

  delete(): void {
    this.api.snapshots.remove(this.path);
  }
}

export class SnapshotHandle extends StoredSnapshot {
  constructor(
    api: Api,
    readonly snapshot: Snapshot,
  ) {
    super(api, snapshot.directory);
  }
}

/** The open streams and captures of these VMs, one a line, each with the line of the test that made it. */
export const openStreams = (api: Api, vms: readonly Vm[]): readonly string[] => {
  const streams = vms.flatMap((vm) => liveStreams(vm));
  const captures = api.scopes
    .open("stream")
    .flatMap((held) => (held instanceof Capture && vms.some((vm) => held.covers(vm)) ? [held] : []));
  return [
    ...streams.map(({ origin, site }) => ({ what: `${origin.kind}(${origin.detail})`, site })),
    ...captures.map(({ bridge, site }) => ({ what: `capture(${bridge.name})`, site })),
  ].map(({ what, site }) => `  - ${what}${site === undefined ? "" : ` at ${site.file}:${site.line}`}`);
};

/** Throws unless no stream of these VMs is open: what is on its way in one cannot be saved. */
export const refuseLiveStreams = (call: string, api: Api, vms: readonly Vm[]): void => {
  const live = openStreams(api, vms);
  if (live.length > 0)
    throw new ApiError(
      `${call}() refused — file \`${api.scopes.path}\` has live streams:\n${live.join("\n")}\nClose the streams before snapshotting (or remove the snapshot).`,
    );
};

/** Where a snapshot goes: to the path given, else to a place that lasts as long as the file. */
export const snapshotPath = (
  api: Api,
  name: string,
  given: string | undefined,
  flavour: "classic" | "lab",
) => (given === undefined ? api.snapshots.fresh(name) : api.hostPath(given, flavour));

function* snapshot(self: VmHandle, args: Args): Op<SnapshotHandle> {
  const { api, vm, flavour } = self;
  const path = snapshotPath(api, vm.name, args.optText(1, "path"), flavour);
  refuseLiveStreams("vm:snapshot", api, [vm]);
  return new SnapshotHandle(api, yield* vm.snapshots.take(path));
}

function* restore(self: VmHandle, args: Args): Op<VmHandle> {
  const { api, vm, flavour } = self;
  const given = args.any(1);
  const from =
    given instanceof SnapshotHandle
      ? given.snapshot
      : api.hostPath(args.text(1, "snapshot or path"), flavour);
  yield* vm.snapshots.restore(from);
  return self;
}

export const SNAPSHOT_METHODS: VmMethods = {
  snapshot: vmMethod(
    "(path?: string): Snapshot",
    "Saves the running VM (memory, devices, disks) and goes on. Without a path the snapshot lasts as long as the file; a path must not exist yet. Open streams are refused. Commands, files, workers, working directory and credentials in the guest are part of it.",
    snapshot,
  ),
  restore: vmMethod(
    "(snapshot: Snapshot|string): VM",
    "Goes on from a snapshot, given as such or by its path; returns the VM. Allowed from created, shutdown and dead. Handles that this VM's Processes, Files and Workers had when the snapshot was taken work again; those made later are gone. The guest's clock goes on from the moment of the snapshot: `vm:clock():set` puts it right.",
    restore,
  ),
};

const storedMethod = method<StoredSnapshot>;

/** What snapshots of a VM and of a lab have in common. */
export const STORED_METHODS = {
  path: storedMethod("(): string", "The directory that holds it.", (self) => self.path),
  size: storedMethod(
    "(): integer",
    "What it takes on disk, in bytes; 0 when it is gone.",
    (self) => self.size,
  ),
  delete: storedMethod(
    "()",
    "Removes it from disk. VMs that have been restored from it go on. Repeatable.",
    (self) => self.delete(),
  ),
} as const;

defineClass<SnapshotHandle>({
  name: "Snapshot",
  of: SnapshotHandle as unknown as abstract new () => SnapshotHandle,
  doc: "A VM on disk: what `vm:snapshot` returns.",
  methods: STORED_METHODS,
  text: (self) => `Snapshot of vm \`${self.snapshot.manifest.vm}\` in ${self.path}`,
});
