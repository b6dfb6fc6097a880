/**
 * The saved devices of a snapshot on their way into a QEMU that reads them as a migration. Over a socket: of the ways
 * to hand it the file, older QEMUs know none but its descriptor, and newer ones take every descriptor but a file's.
 */

import { closeSync, readSync } from "node:fs";
import { closeFd, EAGAIN, setNonBlocking, writeSome } from "../sys/libc.ts";
import { POLLOUT, type Reactor, type Watch } from "../sys/reactor.ts";

const CHUNK_BYTES = 64 * 1024;

export class DeviceFeed {
  private rest = new Uint8Array(0);
  private watch: Watch | undefined;

  /** Takes over both: the open `file`, and our end of the pair whose other end QEMU reads. */
  constructor(
    private readonly file: number,
    private readonly socket: number,
    reactor: Reactor,
  ) {
    setNonBlocking(socket);
    this.watch = reactor.watch(socket, POLLOUT, () => this.feed());
  }

  /** Idempotent. */
  close(): void {
    if (this.watch === undefined) return;
    this.watch.close();
    this.watch = undefined;
    closeFd(this.socket);
    closeSync(this.file);
  }

  /** As much as fits. Who does not want the rest says why himself. */
  private feed(): void {
    while (this.watch !== undefined) {
      if (this.rest.byteLength === 0) {
        const chunk = new Uint8Array(CHUNK_BYTES);
        this.rest = chunk.subarray(0, readSync(this.file, chunk));
      }
      const sent = this.rest.byteLength === 0 ? 0 : writeSome(this.socket, this.rest);
      if (sent === -EAGAIN) return;
      if (sent <= 0) this.close();
      else this.rest = this.rest.subarray(sent);
    }
  }
}
