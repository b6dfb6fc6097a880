/**
 * Disks of a machine: virtio-blk in the places for what is plugged in or out (plug.ts), its sectors on a
 * descriptor of ours, where the disk's process speaks NBD. Pure; `machine.ts` sends it over the monitor,
 * `arguments.ts` puts it into a launch.
 *
 * An NBD node never changes its size. So the device sits on a `raw` node, which does nothing but be replaceable in
 * its child: a resized disk comes as a new connection below the same device.
 */

import { createHash } from "node:crypto";
import { diskSerial } from "../lab/disk-serial.ts";
import type { DiskLink } from "../lab/ports.ts";
import type { Plug } from "./plug.ts";
import type { JsonObject } from "./qmp.ts";

/** QEMU's id of the device; also what QMP events name. */
export const diskDevice = (id: string): string => `disk-${id}`;

const hashOf = (id: string): string => createHash("sha256").update(id).digest("hex");
/** Node names have 31 characters at most. */
export const diskNode = (id: string): string => `disk-${hashOf(id).slice(0, 20)}`;
/** The number of the connection that a disk has from its machine's start or from when it was plugged in. */
export const FIRST_WIRE = 1;

/** The connection's node; each one has a number of its own. */
export const wireNode = (id: string, number: number): string => `nbd${number}-${hashOf(id).slice(0, 20)}`;

/** `descriptor`: a number that QEMU has inherited, or a name given with `getfd`. */
export const wire = (link: DiskLink, number: number, descriptor: string): JsonObject => ({
  driver: "nbd",
  "node-name": wireNode(link.id, number),
  "read-only": link.readonly,
  ...(link.readonly ? {} : { discard: "unmap" }),
  server: { type: "fd", str: descriptor },
});

export const format = (link: DiskLink, number: number): JsonObject => ({
  driver: "raw",
  "node-name": diskNode(link.id),
  "read-only": link.readonly,
  ...(link.readonly ? {} : { discard: "unmap" }),
  file: wireNode(link.id, number),
});

/** Errors go to the guest, whatever they are: QEMU's own way with a full disk would be to stop the machine. */
export const disk = (link: DiskLink, plug: Plug): JsonObject => ({
  driver: "virtio-blk-pci",
  id: diskDevice(link.id),
  drive: diskNode(link.id),
  serial: diskSerial(link.id),
  werror: "report",
  rerror: "report",
  ...plug.place(link.slot),
  "disable-legacy": "on",
});
