/** The Lua object `Disk` and what a VM has to do with disks. */

import { join } from "node:path";
import { ApiError, DiskError, ProviumError } from "../errors/errors.ts";
import { faultMode, parseFault, SECTOR_BYTES } from "../lab/disk-faults.ts";
import { diskSize, parseDisk } from "../lab/disk-options.ts";
import { DEFAULT_DISK_BYTES, type VmDisk } from "../lab/disks.ts";
import { type ActiveFault, type HostDisk, UNFLUSHED } from "../lab/ports.ts";
import type { Registry, Resource } from "../lab/registry.ts";
import type { Args } from "../lua/args.ts";
import { defineClass, method } from "../lua/native.ts";
import { errnoName } from "../sys/libc.ts";
import type { Op } from "../sys/op.ts";
import { optionTable, unwrapped } from "./arguments.ts";
import { checkUnused, findInGuest, waitInGuest } from "./disk-guest.ts";
import type { VmHandle, VmMethods } from "./handles.ts";
import { vmMethod } from "./handles.ts";
import { registryOf } from "./held.ts";

export class Disk {
  private static readonly known = new WeakMap<VmDisk, Disk>();

  private constructor(
    readonly vm: VmHandle,
    readonly disk: VmDisk,
  ) {}

  /** The one object of this disk. */
  static of(vm: VmHandle, disk: VmDisk): Disk {
    let object = Disk.known.get(disk);
    if (object === undefined) {
      object = new Disk(vm, disk);
      Disk.known.set(disk, object);
    }
    return object;
  }

  get id(): string {
    return this.disk.spec.id;
  }

  /** Runs a call on the disk; what it refuses is named after the call. */
  *call<T>(call: string, op: (host: HostDisk) => Op<T>): Op<T> {
    if (this.disk.detached) throw new ApiError(`disk:${call}: disk is detached`);
    try {
      return yield* op(this.disk.host);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      if (error.injected)
        throw new ProviumError(`disk:${call}: ${errnoName(error.errno)} (fault_inject)`, { cause: error });
      throw new ProviumError(`disk:${call}: ${error.message}`, {
        where: `disk \`${this.id}\``,
        cause: error,
      });
    }
  }

  /** A new path for an image made of this disk; it lasts as long as the test file runs. */
  imagePath(what: string): string {
    return join(this.vm.api.imageDirectory(), `${this.id}.${what}`);
  }
}

/** A disk that a scope has attached: taken out with it, when the VM goes on. */
class Attachment implements Resource {
  readonly kind = "disk";

  constructor(
    private readonly vm: VmHandle,
    private readonly disk: VmDisk,
  ) {}

  get label(): string {
    return `disk \`${this.disk.spec.id}\` of ${this.vm.vm.label}`;
  }

  *close(): Op<void> {
    const { vm } = this.vm;
    const { disk } = this;
    yield* vm.bring(
      function* () {
        if (!disk.detached) yield* vm.disks.detach(disk);
      },
      () => {
        if (!disk.detached) vm.disks.drop(disk);
      },
    );
  }
}

/** Offset and length in bytes of a sector call. ApiError when it leaves the disk. */
const rangeOf = (self: Disk, call: string, sector: number, bytes: number): number => {
  const size = self.disk.detached ? 0 : self.disk.host.sizeBytes;
  const offset = sector * SECTOR_BYTES;
  if (!self.disk.detached && (!Number.isSafeInteger(offset) || offset + bytes > size))
    throw new ApiError(
      `disk:${call}: sectors ${sector} to ${sector + Math.ceil(bytes / SECTOR_BYTES) - 1} lie past the end of disk \`${self.id}\`, which has ${size / SECTOR_BYTES}`,
    );
  return offset;
};

/** Writes any number of bytes; the rest of the last sector stays as it is. */
function* writeBytes(host: HostDisk, offset: number, data: Uint8Array): Op<void> {
  const tail = data.byteLength % SECTOR_BYTES;
  if (tail === 0) {
    yield* host.write(offset, data);
    return;
  }
  const whole = new Uint8Array(data.byteLength - tail + SECTOR_BYTES);
  whole.set(yield* host.read(offset + data.byteLength - tail, SECTOR_BYTES), data.byteLength - tail);
  whole.set(data);
  yield* host.write(offset, whole);
}

/** What the log of writes holds. ApiError when there is none. */
function* recorded(self: Disk, call: string): Op<{ readonly flushes: number }> {
  return yield* self.call(call, function* (host) {
    try {
      return yield* host.logState();
    } catch (error) {
      if (!(error instanceof DiskError) || error.errno !== ENOENT) throw error;
      throw new ApiError(`disk:${call}: the writes of disk \`${self.id}\` have not been recorded`, {
        hint: "disk:record_writes() begins a log.",
      });
    }
  });
}

const faultTable = ({ fault, hits, left }: ActiveFault): Record<string, unknown> => ({
  mode: fault.mode,
  hits,
  ...(left === undefined ? {} : { left }),
  ...(fault.sectors === undefined ? {} : { sectors: [...fault.sectors] }),
});

const inForce = (faults: readonly ActiveFault[]): readonly ActiveFault[] =>
  faults.filter(({ left }) => left !== 0);

const diskMethod = method<Disk>;
const TRANSFER_LIMIT = 1024 * 1024 * 1024;
const ENOENT = 2;

defineClass<Disk>({
  name: "Disk",
  of: Disk as unknown as abstract new () => Disk,
  doc: "A disk of a VM. The guest and these calls reach its image through one process, so both see the same sectors and the same faults. It lives as long as its VM, or as the scope that attached it.",
  methods: {
    id: diskMethod(
      "(): string",
      "Its id, which the guest sees as the disk's serial number.",
      (self) => self.id,
    ),
    size: diskMethod("(): integer", "Bytes.", (self) => self.disk.host.sizeBytes),
    path: diskMethod(
      "(): string",
      "The image file on the host; of a temporary disk too.",
      (self) => self.disk.host.path,
    ),
    guest_path: diskMethod(
      "(): string",
      'The device in the guest, such as "/dev/vdb", found by the serial number. Needs a booted VM.',
      function* (self) {
        if (self.disk.detached) throw new ApiError("disk:guest_path: disk is detached");
        return `/dev/${yield* findInGuest(self.vm, self.id, "guest_path")}`;
      },
    ),
    read_sectors: diskMethod(
      "(sector: integer, count: integer): string",
      "`count` sectors of 512 bytes from sector number `sector` on: what was written and flushed, by the guest or the test. Faults apply.",
      function* (self, args) {
        const sector = args.count(1, "sector");
        const length = args.count(2, "count") * SECTOR_BYTES;
        if (length > TRANSFER_LIMIT) args.fail(2, "count: at most 2097152 sectors at once");
        const offset = rangeOf(self, "read_sectors", sector, length);
        return yield* self.call("read_sectors", (host) => host.read(offset, length));
      },
    ),
    write_sectors: diskMethod(
      "(sector: integer, data: string)",
      "Writes from sector number `sector` on; of a last sector that is not filled the rest stays. The guest sees it unless it has cached the old content. Faults apply.",
      function* (self, args) {
        const sector = args.count(1, "sector");
        const data = args.bytes(2, "data");
        const offset = rangeOf(self, "write_sectors", sector, data.byteLength);
        yield* self.call("write_sectors", (host) => writeBytes(host, offset, data));
      },
    ),
    flush: diskMethod(
      "()",
      "Flushes as the guest does: what lost_write holds back is settled.",
      function* (self) {
        yield* self.call("flush", (host) => host.flush());
      },
    ),
    fault_inject: diskMethod(
      "(mode: string, opts?: {sectors?, times?: integer, probability?: number, seed?: integer, delay?: duration, ms?: number, keep?: integer, bits?: integer, on_flush?: string})",
      'From now on guest and sector calls feel the fault: `eio_read`, `eio_write`, `slow` (each request waits `delay`, 50 ms), `enospc`, `torn_write` (only the first `keep` sectors of a write, 1, arrive), `lost_write` (acknowledged, not stored; a flush stores it, or fails with `on_flush = "error"`, or says nothing with "ignore"), `corrupt_read` (`bits`, 1, of a read are flipped). `sectors` is one sector or `{first, last}`, `times` how often it strikes, `probability` that it does, drawn with `seed`. Faults combine; one of the same mode and sectors is replaced.',
      function* (self, args) {
        const mode = args.text(1, "mode");
        const table = args.optTable(2, "fault_inject: opts");
        const fault = parseFault(mode, table && optionTable(table));
        if (fault.sectors !== undefined) {
          const [first, last] = fault.sectors;
          rangeOf(self, "fault_inject", first, (last - first + 1) * SECTOR_BYTES);
        }
        yield* self.call("fault_inject", (host) => host.setFault(fault));
      },
    ),
    clear_faults: diskMethod(
      "(mode?: string)",
      "Ends every fault, or those of one mode.",
      function* (self, args) {
        const name = args.optText(1, "mode");
        const mode = name === undefined ? undefined : faultMode(name, "disk:clear_faults");
        yield* self.call("clear_faults", (host) => host.clearFaults(mode));
      },
    ),
    active_faults: diskMethod(
      "(): string[]",
      "The modes in force, in the order in which they were injected. One whose `times` are used up is over.",
      function* (self) {
        if (self.disk.detached) return [];
        const faults = inForce(yield* self.call("active_faults", (host) => host.faults()));
        return [...new Set(faults.map(({ fault }) => fault.mode))];
      },
    ),
    faults: diskMethod(
      "(): {mode: string, hits: integer, left?: integer, sectors?: integer[]}[]",
      "Every fault since the last clear: how often it struck, and how often it still will where that is limited.",
      function* (self) {
        return (yield* self.call("faults", (host) => host.faults())).map(faultTable);
      },
    ),
    resize: diskMethod(
      "(size: size)",
      "Gives the disk a new size and tells a running guest, whose kernel takes it over a moment later. What a smaller one loses is gone.",
      function* (self, args) {
        const bytes = diskSize(unwrapped(args.any(1)), "disk:resize: size", { flavour: "lab" });
        yield* self.call("resize", () => self.vm.vm.disks.resize(self.disk, bytes));
      },
    ),
    detach: diskMethod(
      "(opts?: {force?: boolean})",
      "Takes the disk out of the VM and waits for the guest to let go of it. One that the guest uses (mounted, swap, part of a device mapper) is refused, unless `force` pulls it out like a cable. A temporary image is gone then.",
      function* (self, args) {
        const opts = args.optTable(1, "detach: opts");
        opts?.only(["force"]);
        const force = opts?.optBoolean("force") === true;
        if (self.disk.detached) return;
        if (!force && self.vm.vm.state === "booted") yield* checkUnused(self.vm, self.id);
        yield* self.vm.vm.disks.detach(self.disk);
      },
    ),
    is_detached: diskMethod("(): boolean", "Whether it was taken out.", (self) => self.disk.detached),
    snapshot: diskMethod(
      "(): string",
      "Copies the content as it is now into a file, without its holes, and returns the path; what the guest has cached and not written is not in it. The file lasts as long as the test file runs.",
      function* (self) {
        const path = self.imagePath("snapshot");
        yield* self.call("snapshot", (host) => host.save(path));
        return path;
      },
    ),
    restore: diskMethod(
      "(path: string)",
      "Replaces the content by that of a raw image of the same size, such as a snapshot. Not while a guest runs with the disk: its caches would not know.",
      function* (self, args) {
        const path = self.vm.api.hostPath(args.text(1, "path"), "lab");
        if (!self.disk.detached && self.vm.vm.running)
          throw new ApiError(`disk:restore: ${self.vm.vm.label} runs with disk \`${self.id}\``, {
            hint: "Shut the VM down first, or detach the disk.",
          });
        yield* self.call("restore", (host) => host.load(path));
      },
    ),
    record_writes: diskMethod(
      "()",
      "Begins to log every write and flush, starting from the content as it is now. An earlier log is dropped.",
      function* (self) {
        yield* self.call("record_writes", (host) => host.startLog());
      },
    ),
    flush_count: diskMethod("(): integer", "How many flushes the log holds.", function* (self) {
      return (yield* recorded(self, "flush_count")).flushes;
    }),
    crash_image: diskMethod(
      '(flush: integer, opts?: {unflushed?: "none"|"all"|"random", seed?: integer}): string',
      "A raw image of what a power cut right after that flush leaves (0: the content as the log began), and its path. Of the writes behind the flush up to the next one, none arrived (default), or all, or a choice drawn with `seed`.",
      function* (self, args) {
        const flush = args.count(1, "flush");
        const opts = args.optTable(2, "crash_image: opts");
        opts?.only(["unflushed", "seed"]);
        const wanted = opts?.optText("unflushed") ?? "none";
        const unflushed = UNFLUSHED.find((known) => known === wanted);
        if (unflushed === undefined)
          throw new ApiError(
            `disk:crash_image: unflushed must be ${UNFLUSHED.join(", ")}, got \`${wanted}\``,
          );
        const seed = BigInt.asUintN(64, BigInt(opts?.has("seed") ? opts.integer("seed") : 0));
        const { flushes } = yield* recorded(self, "crash_image");
        if (flush > flushes)
          throw new ApiError(
            `disk:crash_image: the log holds ${flushes} flushes, there is no flush ${flush}`,
          );
        const path = self.imagePath("crash");
        yield* self.call("crash_image", (host) => host.crashImage(path, flush, unflushed, seed));
        return path;
      },
    ),
  },
  equals: (a, b) => a.disk === b.disk,
  text: (self) => `Disk: \`${self.id}\` of ${self.vm.vm.label}${self.disk.detached ? " (detached)" : ""}`,
});

function* attach(self: VmHandle, args: Args): Op<Disk> {
  const table = args.optTable(1, "attach_disk: opts");
  const resolve = (path: string): string => self.api.hostPath(path, self.flavour);
  const context = { call: "attach_disk", flavour: self.flavour, resolve };
  const options = table === undefined ? new Map<string | number, never>() : optionTable(table);
  const spec = parseDisk(options, "attach_disk: opts", "image", `attached-${defaultName(self)}`, context);
  const registry: Registry = registryOf(self);
  const sized = spec.path === undefined ? { sizeBytes: spec.sizeBytes ?? DEFAULT_DISK_BYTES } : {};
  const disk = yield* self.vm.disks.attach({ ...spec, ...sized });
  registry.add(new Attachment(self, disk));
  if (self.vm.state === "booted") yield* waitInGuest(self, spec.id);
  return Disk.of(self, disk);
}

/** A VM's name as part of an id. */
const defaultName = (self: VmHandle): string => self.vm.name.replace(/[^A-Za-z0-9._-]/g, "_").slice(0, 50);

export const DISK_METHODS: VmMethods = {
  attach_disk: vmMethod(
    "(opts?: {id?: string, size?: size, image?: string, format?: string, readonly?: boolean}): Disk",
    "Adds a virtio disk, plugged in at once when the VM runs, else for the next boot; returns when the guest has it. Without `image` it gets a temporary sparse one of `size` (4G). The id (`attached-<vm>`) is its serial number in the guest. It is taken out with the scope that attached it.",
    attach,
  ),
  disk: vmMethod(
    "(id: string): Disk",
    "The disk of that id; the first of `boot{disks}` without an id is `vda`.",
    (self, args) => Disk.of(self, self.vm.disks.get(args.text(1, "id"))),
  ),
  disks: vmMethod("(): Disk[]", "Its disks.", (self) =>
    self.vm.disks.all().map((disk) => Disk.of(self, disk)),
  ),
};
