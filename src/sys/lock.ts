/**
 * Advisory locks on files by flock(2). The lock belongs to the open file: it falls when its last descriptor is
 * closed, also by the death of the process, so nothing stale can be left behind.
 */

import { fstatSync, readFileSync, statSync, writeSync } from "node:fs";
import { check, closeFd, cText, EAGAIN, errno, failed, libc, ptr } from "./libc.ts";

const O_RDWR = 2;
const O_CREAT = 0o100;
const O_CLOEXEC = 0o2000000;
const O_NOFOLLOW = process.arch === "arm64" ? 0o100000 : 0o400000;
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/** A held lock; `close` releases it. Idempotent. */
export class FileLock {
  private constructor(private fd: number) {}

  /**
   * Opens `path` (created with mode 0600 unless `existing`) and locks it without waiting.
   * Undefined: somebody else holds it. Throws `SysError` when it cannot be opened.
   */
  static attempt(path: string, existing = false): FileLock | undefined {
    return FileLock.take(path, LOCK_EX, existing);
  }

  /**
   * The same for a lock whose file is removed by whoever holds it last: a lock on a file that has been removed
   * meanwhile counts for nothing, so it is taken again on the one that stands there now. `shared`: any number of
   * holders, but none that holds it alone.
   */
  static attemptNamed(path: string, shared = false): FileLock | undefined {
    for (;;) {
      const lock = FileLock.take(path, shared ? LOCK_SH : LOCK_EX, false);
      if (lock === undefined || lock.standsAt(path)) return lock;
      lock.close();
    }
  }

  private static take(path: string, how: number, existing: boolean): FileLock | undefined {
    const flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (existing ? 0 : O_CREAT);
    const fd = check(`open ${path}`, libc.open(ptr(cText(path)), flags, 0o600));
    if (libc.flock(fd, how | LOCK_NB) === 0) return new FileLock(fd);
    const code = errno();
    closeFd(fd);
    return code === EAGAIN ? undefined : failed(`flock ${path}`, code);
  }

  /** Whether the locked file is still the one of that name. */
  private standsAt(path: string): boolean {
    const named = statSync(path, { throwIfNoEntry: false });
    const held = fstatSync(this.fd);
    return named !== undefined && named.ino === held.ino && named.dev === held.dev;
  }

  /** Leaves word in the file for those who wait: who holds it. */
  say(text: string): void {
    try {
      writeSync(this.fd, text, 0);
    } catch {
      // On a full disk nobody learns who it is.
    }
  }

  close(): void {
    if (this.fd < 0) return;
    closeFd(this.fd);
    this.fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** What the holder of a lock has said; "" when nothing can be read. */
export const readWord = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};
