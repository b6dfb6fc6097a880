/** Snapshots of labs as Lua sees them: `lab:snapshot`, `lab:restore` and the LabSnapshot between them. */

import type { Bridge } from "../lab/bridge.ts";
import type { Lab } from "../lab/lab.ts";
import { leaveFor, readLab, restoreLab, type SavedMember, saveLab } from "../lab/lab-snapshot.ts";
import type { SavedBridge } from "../lab/saved-bridge.ts";
import type { Vm } from "../lab/vm.ts";
import type { Args } from "../lua/args.ts";
import { defineClass, type Method, method } from "../lua/native.ts";
import type { Op } from "../sys/op.ts";
import type { Api } from "./context.ts";
import { refuseLiveStreams, STORED_METHODS, StoredSnapshot, snapshotPath } from "./snapshot.ts";

/** A lab's handle, as far as snapshots need it. */
interface Home {
  readonly api: Api;
  readonly lab: Lab;
}

export class LabSnapshotHandle extends StoredSnapshot {
  constructor(
    api: Api,
    path: string,
    readonly lab: string,
  ) {
    super(api, path);
  }
}

function* snapshot(self: Home, args: Args): Op<LabSnapshotHandle | string> {
  const { api, lab } = self;
  const given = args.optText(1, "dir");
  const directory = snapshotPath(api, lab.name, given, "lab");
  const vms = lab.allVms();
  refuseLiveStreams("lab:snapshot", api, vms);
  yield* saveLab(
    lab.name,
    vms,
    lab.ownBridges().map((bridge) => bridge.saved()),
    api.snapshots,
    directory,
  );
  return given === undefined ? new LabSnapshotHandle(api, directory, lab.name) : directory;
}

/** Has the VMs of a saved lab go on, each as the VM of its name in `lab`; one that is not there is declared. */
export function* restoreInto(api: Api, lab: Lab, directory: string): Op<readonly Vm[]> {
  const { vms: members, bridges: saved } = readLab(api.snapshots, directory);
  const vms = members.map((member) => memberOf(api, lab, member));
  const parts = yield* leaveFor(directory, members, vms);
  const bridges = new Map(saved.map((one) => [one.name, bridgeOf(api, lab, one)]));
  for (const { name, conditions } of saved) yield* (bridges.get(name) as Bridge).restore(conditions);
  // Each on the lab's own bridges; there may be others of the same names.
  for (const [i, { manifest }] of parts.entries())
    for (const nic of manifest.nics) {
      const bridge = bridges.get(nic.bridge);
      if (bridge !== undefined) yield* bridge.adopt(vms[i] as Vm, nic);
    }
  yield* restoreLab(parts, vms);
  for (const { name, routes, uplink } of saved) {
    const { beyond } = bridges.get(name) as Bridge;
    const { partners } = beyond.state();
    // What has come since goes; of bridges that are not the lab's own nothing was saved.
    yield* beyond.unroute(
      [...bridges.values()].filter((other) => partners.includes(other) && !routes.includes(other.name)),
    );
    yield* beyond.route(routes.flatMap((other) => bridges.get(other) ?? []));
    if (uplink) yield* beyond.enableUplink();
    else yield* beyond.disableUplink();
  }
  return vms;
}

const memberOf = (api: Api, lab: Lab, { name, profile }: SavedMember): Vm =>
  lab.findVm(name) ?? api.scopes.createVm(lab, name, profile, {});

const bridgeOf = (api: Api, lab: Lab, saved: SavedBridge): Bridge =>
  lab.ownBridges().find(({ name }) => name === saved.name) ?? api.scopes.createSavedBridge(lab, saved);

function* restore<H extends Home>(self: H, args: Args): Op<H> {
  const given = args.any(1);
  const directory =
    given instanceof LabSnapshotHandle
      ? given.path
      : self.api.hostPath(args.text(1, "snapshot or path"), "lab");
  yield* restoreInto(self.api, self.lab, directory);
  return self;
}

const labMethod = method<Home>;

export const LAB_SNAPSHOT_METHODS: Readonly<Record<string, Method<Home>>> = {
  snapshot: labMethod(
    "(dir?: string): LabSnapshot|string",
    "Saves all VMs of the lab at one moment; each must be booted, and they go on. Without a directory a LabSnapshot that lasts as long as the file; with one the directory's path, where nothing may be yet.",
    snapshot,
  ),
  restore: labMethod(
    "(snapshot: LabSnapshot|string): lab",
    "Has every VM of a saved lab go on, side by side: the lab's VM of that name, which is ended first where it runs, or a new one. Returns the lab. When one of them cannot, none runs.",
    restore,
  ),
};

defineClass<LabSnapshotHandle>({
  name: "LabSnapshot",
  of: LabSnapshotHandle as unknown as abstract new () => LabSnapshotHandle,
  doc: "A lab on disk: what `lab:snapshot` returns. Its directory holds `lab.json` and a snapshot a VM.",
  methods: STORED_METHODS,
  text: (self) => `LabSnapshot of lab \`${self.lab}\` in ${self.path}`,
});
