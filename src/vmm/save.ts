/**
 * A stopped machine on disk, and what a QEMU needs to go on from there.
 *
 * QEMU writes the state of its devices without RAM (`xen-save-devices-state`, which knows nothing of Xen: it is the
 * migration stream less the iterable parts). RAM we take from the process ourselves: what the guest has written,
 * over what the machine itself was restored from. A new QEMU maps that file privately, so many go on from one
 * snapshot, share its pages and never change it; and it reads the devices as an incoming migration.
 */

import { closeSync, fstatSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HostError } from "../errors/errors.ts";
import type { LaunchSpec, MachineImage, SavedFile } from "../lab/ports.ts";
import { after, type Op } from "../sys/op.ts";
import {
  dataExtents,
  readAt,
  SparseWriter,
  sparseSum,
  Turns,
  WINDOW_BYTES,
  windowsOf,
} from "../sys/sparse.ts";
import { BOARDS } from "./architecture.ts";
import { ramBytes } from "./arguments.ts";
import { GuestRam, readFirmware } from "./guest-memory.ts";
import type { Qmp } from "./qmp.ts";

export const RAM_FILE = "ram";
export const DEVICES_FILE = "devices";
export const FIRMWARE_FILE = "firmware";

/** Writing the devices takes milliseconds; a host that swaps may need longer. */
const SAVE_MS = 60_000;

export interface Running {
  readonly qmp: Qmp;
  readonly pid: number;
  readonly spec: LaunchSpec;
  /** The open RAM of the snapshot that it was restored from. Stays the caller's. */
  readonly base: number | undefined;
  /** Bytes that its seeded generator has given out. */
  readonly entropyRead: number;
}

/** Writes the paused machine into `directory`, which holds none of these files yet. */
export function* saveMachine(machine: Running, directory: string): Op<MachineImage> {
  const { qmp, pid } = machine;
  yield* refuseUnmovable(qmp);
  writeFileSync(join(directory, FIRMWARE_FILE), yield* readFirmware(qmp, pid), { mode: 0o600 });
  const ram = yield* saveRam(machine, join(directory, RAM_FILE));
  // Last and small: where there is no space, what we write ourselves has told so.
  const devices = join(directory, DEVICES_FILE);
  yield* saveDevices(qmp, devices);
  const files = [ram, yield* described(directory, DEVICES_FILE), yield* described(directory, FIRMWARE_FILE)];
  return { qemu: qmp.version, files, entropyRead: machine.entropyRead };
}

/** QEMU writes where we point it: it may run as somebody who can open no file of ours. */
function* saveDevices(qmp: Qmp, path: string): Op<void> {
  const fd = openSync(path, "wx", 0o600);
  try {
    const set = (yield* qmp.execute("add-fd", {}, after(SAVE_MS), fd)) as { readonly "fdset-id": number };
    const filename = `/dev/fdset/${set["fdset-id"]}`;
    try {
      yield* qmp.execute("xen-save-devices-state", { filename, live: false }, after(SAVE_MS));
    } finally {
      qmp.post("remove-fd", { "fdset-id": set["fdset-id"] });
    }
  } finally {
    closeSync(fd);
  }
}

/** A device that QEMU could not move to another process it could not save either. */
function* refuseUnmovable(qmp: Qmp): Op<void> {
  const answer = yield* qmp.execute("query-migrate", undefined, after(SAVE_MS));
  const reasons = (answer as { "blocked-reasons"?: unknown } | null)?.["blocked-reasons"];
  if (Array.isArray(reasons) && reasons.length > 0)
    throw new HostError(`QEMU cannot save this machine: ${reasons.join("; ")}`);
}

function* saveRam({ qmp, pid, spec, base }: Running, path: string): Op<SavedFile> {
  const bytes = ramBytes(spec.memoryBytes);
  const ram = yield* GuestRam.open(qmp, pid, BOARDS[spec.architecture].ramBase, bytes);
  try {
    const writer = new SparseWriter(path, bytes);
    try {
      const inherited = base === undefined ? [] : dataExtents(base);
      const extents = [...inherited, ...ram.own].sort((a, b) => a.start - b.start);
      const window = new Uint8Array(WINDOW_BYTES);
      const turns = new Turns();
      let run = 0;
      for (const at of windowsOf(extents)) {
        const part = window.subarray(0, Math.min(WINDOW_BYTES, bytes - at));
        if (base === undefined) part.fill(0);
        else readAt(base, part, at);
        run = ram.overlay(part, at, run);
        writer.put(at, part);
        yield* turns.next();
      }
      return known(path, { name: RAM_FILE, bytes, checksum: writer.sum.text });
    } finally {
      writer.close();
    }
  } finally {
    ram.close();
  }
}

export function* described(directory: string, name: string): Op<SavedFile> {
  const path = join(directory, name);
  const fd = openSync(path, "r");
  try {
    const sum = yield* sparseSum(fd);
    return known(path, { name, bytes: fstatSync(fd).size, checksum: sum.text });
  } finally {
    closeSync(fd);
  }
}

/** Checksums of files that this process has written or checked, by what would change with the content. */
const verified = new Map<string, string>();

const identity = (path: string): string => {
  const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(":");
};

const known = (path: string, file: SavedFile): SavedFile => {
  verified.set(identity(path), file.checksum);
  return file;
};

const damaged = (path: string, what: string): HostError =>
  new HostError(`the snapshot's ${path} ${what}`, { hint: "take the snapshot anew" });

/** Opens a file of a snapshot for reading. Throws HostError naming one that cannot be. */
export const openSaved = (directory: string, name: string): number => {
  const path = join(directory, name);
  try {
    return openSync(path, "r");
  } catch (cause) {
    throw damaged(path, `cannot be read: ${cause instanceof Error ? cause.message : cause}`);
  }
};

/** Throws HostError naming the file of a snapshot that is missing, cut off or altered. */
export function* verifyFiles(directory: string, files: readonly SavedFile[]): Op<void> {
  for (const { name, bytes, checksum } of files) {
    const path = join(directory, name);
    const fd = openSaved(directory, name);
    try {
      const { size } = fstatSync(fd);
      if (size !== bytes)
        throw damaged(path, `was cut off or altered: it has ${size} bytes and must have ${bytes}`);
      if (verified.get(identity(path)) === checksum) continue;
      if ((yield* sparseSum(fd)).text !== checksum)
        throw damaged(path, "was altered: its checksum does not fit");
    } finally {
      closeSync(fd);
    }
    verified.set(identity(path), checksum);
  }
}

export const firmwareOf = (directory: string): Uint8Array => readFileSync(join(directory, FIRMWARE_FILE));
