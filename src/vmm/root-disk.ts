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

/**
 * QEMU's arguments. The device sits behind a port of its own: the guest finds it after the disks of the test, whose
 * names it leaves alone, and it takes none of the places in which later ones are plugged.
 */
export const rootDiskArguments = (disk: RootDisk, format: "qcow2" | "raw"): string[] => [
  "-drive",
  `if=none,id=root,format=${format},snapshot=${disk.writable ? "off" : "on"},discard=unmap,file=${escaped(disk.path)}`,
  ...["-device", "pcie-root-port,id=rootport,bus=pcie.0,addr=0x1e,chassis=32"],
  "-device",
  `virtio-blk-pci,drive=root,serial=${ROOT_DISK_SERIAL},bus=rootport,disable-legacy=on`,
];
