/**
 * Files in memory, for a process that may open no file of ours: whoever holds the descriptor can open it
 * again under /proc/self/fd, because a memfd's mode lets everybody (memfd_create(2)), and nobody else can reach it.
 */

import { fstatSync, ftruncateSync } from "node:fs";
import { check, closeFd, cText, libc, ptr } from "./libc.ts";
import type { Op } from "./op.ts";
import { dataExtents, readAt, Turns, WINDOW_BYTES, windowsOf, writeAt } from "./sparse.ts";

const SYS_MEMFD_CREATE = process.arch === "arm64" ? 279 : 319;
const MFD_CLOEXEC = 1;

const empty = (name: string): number => {
  const label = cText(name);
  return check("memfd_create", Number(libc.syscall(SYS_MEMFD_CREATE, ptr(label), MFD_CLOEXEC, 0, 0, 0, 0)));
};

/** The descriptor of a file with this content, which is the caller's. */
export const memoryFile = (bytes: Uint8Array, name: string): number => {
  const file = empty(name);
  try {
    writeAt(file, bytes, 0);
    return file;
  } catch (error) {
    closeFd(file);
    throw error;
  }
};

/** The descriptor of a copy, which is the caller's; holes of the file take no memory. `fd` stays the caller's. */
export function* memoryCopy(fd: number, name: string): Op<number> {
  const copy = empty(name);
  let whole = false;
  try {
    const { size } = fstatSync(fd);
    ftruncateSync(copy, size);
    const window = new Uint8Array(WINDOW_BYTES);
    const turns = new Turns();
    for (const at of windowsOf(dataExtents(fd))) {
      const part = window.subarray(0, Math.min(WINDOW_BYTES, size - at));
      readAt(fd, part, at);
      writeAt(copy, part, at);
      yield* turns.next();
    }
    whole = true;
    return copy;
  } finally {
    if (!whole) closeFd(copy);
  }
}
