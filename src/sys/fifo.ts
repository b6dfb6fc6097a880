/**
 * A named pipe (fifo(7)) towards a program that opens it by its name. Unlike a socket, which charges every small
 * write several hundred bytes of its bound, a pipe packs them, so it really holds as much as it says.
 */

import { rmSync } from "node:fs";
import { check, cText, libc } from "./libc.ts";

const MODE = 0o600;
const O_RDWR_NONBLOCK_CLOEXEC = 0o2 | 0o4000 | 0o2000000;
const F_SETPIPE_SZ = 1031;

/**
 * Makes the pipe and opens it for reading and writing, so that it never ends while we have it, whoever comes and goes.
 * `capacity` is what it should hold in bytes (64 KiB by itself); where the kernel grants no more it holds less.
 */
export const openFifo = (path: string, capacity?: number): number => {
  rmSync(path, { force: true });
  check("mkfifo", libc.mkfifo(cText(path), MODE));
  const fd = check("open", libc.open(cText(path), O_RDWR_NONBLOCK_CLOEXEC, 0));
  if (capacity !== undefined) libc.fcntl(fd, F_SETPIPE_SZ, capacity);
  return fd;
};
