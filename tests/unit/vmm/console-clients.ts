/** A console without a machine behind it, and programs that listen to it. */

import { join } from "node:path";
import {
  AF_UNIX,
  check,
  libc,
  readSome,
  SOCK_STREAM,
  setNonBlocking,
  socketPair,
} from "../../../src/sys/libc.ts";
import { POLLIN, Reactor } from "../../../src/sys/reactor.ts";
import { MachineConsole } from "../../../src/vmm/console.ts";

export const LONG = 20_000;
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Collects what comes out of a descriptor. */
export class Ear {
  heard = Buffer.alloc(0);
  ended = false;
  private readonly watch: { close(): void };

  constructor(fd: number, reactor: Reactor) {
    setNonBlocking(fd);
    const buffer = new Uint8Array(65536);
    this.watch = reactor.watch(fd, POLLIN, () => {
      const count = readSome(fd, buffer);
      if (count > 0) this.heard = Buffer.concat([this.heard, buffer.subarray(0, count)]);
      else this.stop();
    });
  }

  stop(): void {
    this.ended = true;
    this.watch.close();
  }
}

/** A console with one device, whose other end is `guest`; its files are in `directory`. */
export const machine = (directory: string) => {
  const reactor = new Reactor();
  const [ours, guest] = socketPair();
  setNonBlocking(guest);
  const console = new MachineConsole(
    join(directory, "console.log"),
    { ttyS0: { reads: ours, writes: ours } },
    "ttyS0",
    reactor,
    () => {},
  );
  return { console, reactor, guest };
};

export const connect = (path: string): number => {
  const fd = check("socket", libc.socket(AF_UNIX, SOCK_STREAM, 0));
  const name = Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(`${path}\0`)]);
  check("connect", libc.connect(fd, name, name.byteLength));
  return fd;
};
