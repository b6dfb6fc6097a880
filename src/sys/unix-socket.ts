/** A Unix socket to listen on, for a program that accepts its client by itself: unix(7), bind(2), listen(2), connect(2). */

import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AF_UNIX, check, closeFd, libc, SOCK_CLOEXEC, SOCK_STREAM } from "./libc.ts";

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
