/**
 * Files that several processes read and write at the same time: they appear, and change, as a whole. A reader sees the
 * old content or the new one, never half of it: rename(2). A writer that is killed leaves nothing behind, because what it
 * writes has no name until it is all there: O_TMPFILE, open(2).
 */

import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { check, cText, libc } from "./libc.ts";

/** Of <asm-generic/fcntl.h>; a directory's flag, which differs between machines, is part of it. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
/** Of <fcntl.h>, for linkat(2). */
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;

export interface Whole {
  /** 0600 where it is not given. */
  readonly mode?: number;
  /** On the disk before it has its name. */
  readonly synced?: boolean;
}

/** Beside `path`, where nobody else writes: two containers that share a cache may well share process ids. */
const draftOf = (path: string): string => `${path}.${randomBytes(6).toString("hex")}.new`;

/** Never fails: what keeps a draft from being written may keep it from being removed, and the first error is the one to tell. */
const dropDraft = (draft: string): void => {
  try {
    rmSync(draft, { force: true });
  } catch {
    // It is not there, or not ours.
  }
};

const fill = (fd: number, data: Uint8Array | string, { mode = 0o600, synced = false }: Whole): void => {
  writeFileSync(fd, data);
  fchmodSync(fd, mode);
  if (synced) fsyncSync(fd);
};

const withFile = (fd: number, act: () => void): void => {
  try {
    act();
  } finally {
    closeSync(fd);
  }
};

/** Whether the draft is there. Not every file system has files without names, nor every container a /proc to name them. */
const writeUnnamed = (draft: string, data: Uint8Array | string, how: Whole): boolean => {
  try {
    const fd = openSync(dirname(draft), O_TMPFILE | constants.O_WRONLY, 0o600);
    withFile(fd, () => {
      fill(fd, data, how);
      const behind = cText(`/proc/self/fd/${fd}`);
      check("linkat", libc.linkat(AT_FDCWD, behind, AT_FDCWD, cText(draft), AT_SYMLINK_FOLLOW));
    });
    return true;
  } catch {
    return false;
  }
};

/** The directory is made where it is missing. Throws the system's error, and leaves nothing then. */
export const writeWhole = (path: string, data: Uint8Array | string, how: Whole = {}): void => {
  const draft = draftOf(path);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    if (!writeUnnamed(draft, data, how)) {
      const fd = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      withFile(fd, () => fill(fd, data, how));
    }
    renameSync(draft, path);
  } catch (error) {
    dropDraft(draft);
    throw error;
  }
};
