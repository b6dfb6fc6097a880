/**
 * Advisory locks on files by flock(2). The lock belongs to the open file: it falls when its last descriptor is
 * closed, also by the death of the process, so nothing stale can be left behind.
 */

import { check, closeFd, cText, EAGAIN, errno, failed, libc, ptr } from "./libc.ts";

const O_RDWR = 2;
const O_CREAT = 0o100;
const O_CLOEXEC = 0o2000000;
const O_NOFOLLOW = process.arch === "arm64" ? 0o100000 : 0o400000;
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
    const flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (existing ? 0 : O_CREAT);
    const fd = check(`open ${path}`, libc.open(ptr(cText(path)), flags, 0o600));
    if (libc.flock(fd, LOCK_EX | LOCK_NB) === 0) return new FileLock(fd);
    const code = errno();
    closeFd(fd);
    return code === EAGAIN ? undefined : failed(`flock ${path}`, code);
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
