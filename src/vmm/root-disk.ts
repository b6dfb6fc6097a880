/**
 * The disk that a distribution boots from. QEMU reads the image itself; unless the profile wants it written, what the
 * guest writes goes into a file that QEMU has removed before the guest starts.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { ROOT_DISK_SERIAL, type RootDisk } from "../config/schema.ts";

const QCOW2_MAGIC = "QFI\xfb";

/** What the first bytes of the image say. A raw image that looks like something else cannot be had this way. */
export const imageFormat = (path: string): "qcow2" | "raw" => {
  const fd = openSync(path, "r");
  try {
    const head = Buffer.alloc(QCOW2_MAGIC.length);
    readSync(fd, head, 0, head.length, 0);
    return head.toString("latin1") === QCOW2_MAGIC ? "qcow2" : "raw";
  } finally {
    closeSync(fd);
  }
};

const escaped = (value: string): string => value.replaceAll(",", ",,");

/** QEMU's arguments. The device sits on `bus`, behind the disks of the test, whose names it leaves alone. */
export const rootDiskArguments = (disk: RootDisk, format: "qcow2" | "raw", bus: string): string[] => [
  "-drive",
  `if=none,id=root,format=${format},snapshot=${disk.writable ? "off" : "on"},discard=unmap,file=${escaped(disk.path)}`,
  "-device",
  `virtio-blk-pci,drive=root,serial=${ROOT_DISK_SERIAL},bus=${bus},disable-legacy=on`,
];
