/**
 * The disks of one VM. They belong to the VM, not to a boot: what a killed machine left on them, the next boot finds.
 * A disk ends when it is detached, at the latest with its VM.
 */

import { join } from "node:path";
import { ApiError, TimeoutError } from "../errors/errors.ts";
import { closeFd } from "../sys/libc.ts";
import type { Op } from "../sys/op.ts";
import type { DiskLink, DiskSpec, HostDisk, Machine, OpenDisk, SnapshotFiles } from "./ports.ts";
import { diskFile, type SavedDisk } from "./saved-disk.ts";

/** What a disk has when nobody says how large it is. */
export const DEFAULT_DISK_BYTES = 4 * 2 ** 30;
/** Slots of the bus behind which disks and network interfaces sit. */
const MOST_DISKS = 24;

export class VmDisk {
  /** Taken out of its VM: nothing can be done with it any more. */
  detached = false;

  constructor(
    readonly spec: DiskSpec,
    readonly host: HostDisk,
    /** Named in boot options, rather than attached by a call. */
    readonly fromBoot: boolean,
    /** Where it sits on the bus for what is plugged in and out. */
    readonly slot: number,
  ) {}
}

/** What the disks of a VM need of it. */
export interface DiskKeeper {
  /** For messages: "vm `a`". */
  readonly label: string;
  readonly open: OpenDisk;
  /** Makes a directory for one disk and returns its path. */
  directory(): string;
  /** Throws ApiError unless the host file can be read. */
  checkHostFile(path: string, what: string): void;
  /** Throws unless a disk can be plugged in or out now, or kept for the next boot. */
  checkPlug(call: string): void;
  /** There is a machine, which an order reaches. */
  running(): boolean;
  order(call: string, op: (machine: Machine) => Op<void>): Op<void>;
}

const same = (a: DiskSpec, b: DiskSpec): boolean =>
  a.path === b.path && a.format === b.format && a.readonly === b.readonly && a.sizeBytes === b.sizeBytes;

export class VmDisks {
  private readonly disks = new Map<string, VmDisk>();
  /** Slots of disks whose images are being opened, by id: other tasks may add some meanwhile. */
  private readonly opening = new Map<string, number>();
  /** Connections that a machine has not got its own copies of yet. */
  private readonly lent = new Set<DiskLink>();

  constructor(private readonly keeper: DiskKeeper) {}

  all(): readonly VmDisk[] {
    return [...this.disks.values()];
  }

  /** The disk of that id. ApiError naming the known ones. */
  get(id: string): VmDisk {
    const disk = this.disks.get(id);
    if (disk !== undefined) return disk;
    const known = [...this.disks.keys()].join(", ") || "none";
    throw new ApiError(`${this.keeper.label} has no disk \`${id}\` (known: ${known})`, {
      hint: "Disks come with boot{disks = ...} and vm:attach_disk{...}.",
    });
  }

  /** Opens one more. `call` is how errors name what wanted it. */
  *add(spec: DiskSpec, call: string, fromBoot = false, slot = this.freeSlot()): Op<VmDisk> {
    const { keeper, opening } = this;
    if (this.disks.has(spec.id) || opening.has(spec.id))
      throw new ApiError(`${call}: ${keeper.label} has a disk \`${spec.id}\` already`, {
        hint: 'Give it an id of its own: id = "data2".',
      });
    if (this.disks.size + opening.size >= MOST_DISKS)
      throw new ApiError(`${call}: ${keeper.label} has ${MOST_DISKS} disks, which is all that fit`);
    opening.set(spec.id, slot);
    try {
      const disk = yield* this.opened(spec, call, fromBoot, slot);
      this.disks.set(spec.id, disk);
      return disk;
    } finally {
      opening.delete(spec.id);
    }
  }

  private *opened(spec: DiskSpec, call: string, fromBoot: boolean, slot: number): Op<VmDisk> {
    const { keeper } = this;
    const host = yield* keeper.open(spec, keeper.directory(), `${call}: image of disk \`${spec.id}\``);
    if (spec.path !== undefined && spec.sizeBytes !== undefined && spec.sizeBytes !== host.sizeBytes) {
      host.close();
      throw new ApiError(
        `${call}: disk \`${spec.id}\` is to have ${spec.sizeBytes} bytes, its image \`${spec.path}\` has ${host.sizeBytes}`,
        { hint: "Leave `size` out; disk:resize(bytes) changes it." },
      );
    }
    return new VmDisk(spec, host, fromBoot, slot);
  }

  /** What a machine that starts is to be given: the disks of its options in their order, then those attached before. */
  *prepare(specs: readonly DiskSpec[]): Op<readonly DiskLink[]> {
    const wanted = new Map(specs.map((spec) => [spec.id, spec]));
    for (const disk of this.all()) {
      const spec = wanted.get(disk.spec.id);
      if (disk.fromBoot && (spec === undefined || !same(spec, disk.spec))) this.drop(disk);
    }
    for (const spec of specs) {
      const there = this.disks.get(spec.id);
      if (there === undefined || !there.fromBoot) yield* this.add(spec, "boot", true);
    }
    const order = [...specs.map(({ id }) => this.get(id)), ...this.all().filter(({ fromBoot }) => !fromBoot)];
    const links: DiskLink[] = [];
    for (const disk of order) {
      // A machine that was killed may have left its connection behind.
      yield* disk.host.disconnect();
      links.push(yield* this.link(disk));
    }
    return links;
  }

  /** Writes what a stopped machine has on its disks into the directory of a snapshot. */
  *save(files: SnapshotFiles, directory: string): Op<readonly SavedDisk[]> {
    const saved: SavedDisk[] = [];
    for (const { spec, host, slot, fromBoot } of this.all()) {
      const { id, readonly, path, format } = spec;
      const { sizeBytes } = host;
      const name = diskFile(id);
      let content: SavedDisk["content"];
      if (readonly && path !== undefined) content = { image: path, format };
      else {
        yield* host.save(join(directory, name));
        content = yield* files.describe(directory, name);
      }
      const active = yield* host.faults();
      const faults = active.map(({ fault, left }) =>
        left === undefined ? fault : { ...fault, times: left },
      );
      saved.push({ id, readonly, slot, sizeBytes, fromBoot, content, faults });
    }
    return saved;
  }

  /** Makes the disks those of a snapshot, with their content and faults, for a machine that goes on from it. */
  *goBack(saved: readonly SavedDisk[], files: SnapshotFiles, directory: string): Op<readonly DiskLink[]> {
    for (const disk of this.all()) {
      const before = saved.find(({ id }) => id === disk.spec.id);
      if (before?.slot !== disk.slot || before.readonly !== disk.spec.readonly) this.drop(disk);
    }
    const links: DiskLink[] = [];
    for (const before of saved) {
      const disk = this.disks.get(before.id) ?? (yield* this.again(before));
      const { host } = disk;
      yield* host.disconnect();
      yield* host.clearFaults();
      if (!("image" in before.content)) {
        yield* files.verify(directory, [before.content]);
        if (host.sizeBytes !== before.sizeBytes) yield* host.resize(before.sizeBytes);
        yield* host.load(join(directory, before.content.name));
      }
      for (const fault of before.faults) yield* host.setFault(fault);
      links.push(yield* this.link(disk));
    }
    return links;
  }

  /** A disk of a snapshot in a VM that has it not: what is written to it goes to a temporary image of its own. */
  private *again({ id, readonly, slot, sizeBytes, fromBoot, content }: SavedDisk): Op<VmDisk> {
    const spec: DiskSpec =
      "image" in content
        ? { id, readonly, path: content.image, format: content.format }
        : { id, readonly, sizeBytes, format: "raw" };
    return yield* this.add(spec, "restore", fromBoot, slot);
  }

  /** Disks sit at the lower end of the bus. */
  private freeSlot(): number {
    const taken = new Set([...this.all().map((disk) => disk.slot), ...this.opening.values()]);
    let slot = 1;
    while (taken.has(slot)) slot++;
    return slot;
  }

  /** A connection for a machine; to be given back. */
  private *link(disk: VmDisk): Op<DiskLink> {
    const fd = yield* disk.host.connect();
    const link = { id: disk.spec.id, readonly: disk.spec.readonly, slot: disk.slot, fd };
    this.lent.add(link);
    return link;
  }

  /** The machine that starts has its own copies of what was lent to it, or will not take them. */
  handedOver(): void {
    for (const link of this.lent) this.giveBack(link);
  }

  private giveBack(link: DiskLink): void {
    if (this.lent.delete(link)) closeFd(link.fd);
  }

  /** Gives the machine that runs a connection, while `op` lasts: only this one is given back behind it. */
  private *lend(call: string, disk: VmDisk, op: (machine: Machine, link: DiskLink) => Op<void>): Op<void> {
    const link = yield* this.link(disk);
    try {
      yield* this.keeper.order(call, (machine) => op(machine, link));
    } finally {
      this.giveBack(link);
    }
  }

  /** Adds a disk: plugged in when the machine runs, else for the next boot. */
  *attach(spec: DiskSpec): Op<VmDisk> {
    const { keeper } = this;
    keeper.checkPlug("attach_disk");
    if (spec.path !== undefined) keeper.checkHostFile(spec.path, `attach_disk: image of disk \`${spec.id}\``);
    const disk = yield* this.add(spec, "attach_disk");
    try {
      if (keeper.running()) yield* this.lend("attach_disk", disk, (machine, link) => machine.plugDisk(link));
      return disk;
    } catch (error) {
      this.drop(disk);
      throw error;
    }
  }

  /** Takes a disk out. TimeoutError with the guest's answer when the guest does not let go of it. */
  *detach(disk: VmDisk): Op<void> {
    if (disk.detached) return;
    const { keeper } = this;
    const { id } = disk.spec;
    keeper.checkPlug("detach");
    let answer: string | undefined;
    if (keeper.running())
      yield* keeper.order("detach", function* (machine) {
        answer = yield* machine.unplugDisk(id);
      });
    if (answer !== undefined)
      throw new TimeoutError(`disk:detach: disk \`${id}\` of ${keeper.label} is still there: ${answer}`, {
        hint: "A guest whose kernel cannot hot-plug PCI devices keeps its disks until it is shut down.",
      });
    this.drop(disk);
  }

  /** Gives a disk a new size and lets the guest know. */
  *resize(disk: VmDisk, sizeBytes: number): Op<void> {
    const { keeper } = this;
    keeper.checkPlug("resize");
    yield* disk.host.resize(sizeBytes);
    if (keeper.running())
      yield* this.lend("resize", disk, (machine, link) => machine.resizeDisk(link, sizeBytes));
  }

  /** Lets go of a disk that no machine has. */
  drop(disk: VmDisk): void {
    disk.detached = true;
    if (this.disks.get(disk.spec.id) === disk) this.disks.delete(disk.spec.id);
    disk.host.close();
  }

  close(): void {
    for (const disk of this.all()) this.drop(disk);
  }
}
