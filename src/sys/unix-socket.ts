/** Unix sockets to listen on: unix(7), bind(2), listen(2), accept4(2), connect(2). */

import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { HostError } from "../errors/errors.ts";
import {
  AF_UNIX,
  check,
  closeFd,
  EAGAIN,
  ECONNABORTED,
  EINTR,
  errno,
  libc,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from "./libc.ts";

const NAME = "listening";

const address = (path: string): Uint8Array => {
  const bytes = Buffer.alloc(2 + path.length + 1);
  bytes.writeUInt16LE(AF_UNIX, 0);
  bytes.write(path, 2, "latin1");
  return bytes;
};

/**
 * A listening socket and a client that is connected to it; both are the caller's, close-on-exec. Its name, for which
 * `directory` has to be one that nobody else may enter, is gone when this returns: nobody else can connect.
 */
export const listenerWithClient = (
  directory: string,
): { readonly listening: number; readonly client: number } => {
  // Through a descriptor, because an address has room for 107 bytes only.
  const place = openSync(directory, "r");
  const name = address(`/proc/self/fd/${place}/${NAME}`);
  const made: number[] = [];
  const socket = (): number => {
    const fd = check("socket", libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    made.push(fd);
    return fd;
  };
  try {
    const listening = socket();
    check("bind", libc.bind(listening, name, name.byteLength));
    check("listen", libc.listen(listening, 1));
    const client = socket();
    check("connect", libc.connect(client, name, name.byteLength));
    return { listening, client };
  } catch (error) {
    for (const fd of made) closeFd(fd);
    throw error;
  } finally {
    rmSync(join(directory, NAME), { force: true });
    closeSync(place);
  }
};

/** sun_path of unix(7) without its NUL. */
const LONGEST_PATH = 107;
const BACKLOG = 8;

/** A listening socket of that name, non-blocking, close-on-exec; descriptor and name are the caller's. Throws `HostError`. */
export const listenAt = (path: string): number => {
  const length = Buffer.byteLength(path);
  if (length > LONGEST_PATH)
    throw new HostError(`the name of a socket has room for ${LONGEST_PATH} bytes; ${path} has ${length}`, {
      hint: "set PROVIUM_TMPDIR to a directory with a shorter name",
    });
  const name = address(Buffer.from(path).toString("latin1"));
  const fd = check("socket", libc.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  try {
    check("bind", libc.bind(fd, name, name.byteLength));
    check("listen", libc.listen(fd, BACKLOG));
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
};

/** Nobody waits, or whoever did has gone again. */
const NOBODY: readonly number[] = [EAGAIN, EINTR, ECONNABORTED];

/**
 * The next client, non-blocking, close-on-exec. `shortage`: somebody waits for whom there is no descriptor or no
 * memory now, see the errors of accept(2).
 */
export const acceptFrom = (listening: number): number | "nobody" | "shortage" => {
  const fd = libc.accept4(listening, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) return fd;
  return NOBODY.includes(errno()) ? "nobody" : "shortage";
};
