/** A port of a bridge that this process serves itself: whole Ethernet frames in, whole frames out. */

import { closeFd, dupFd, EAGAIN, readSome, setNonBlocking, writeSome } from "../sys/libc.ts";
import { POLLIN, type Reactor, type Watch } from "../sys/reactor.ts";
import type { Wire } from "./backend.ts";

const LARGEST_FRAME = 65_550;
const LENGTH_BYTES = 4;
/** So much is taken at a time, that a guest which floods its bridge does not keep the test waiting. */
const READS_AT_A_TIME = 16;

/**
 * Frames on a wire. What cannot be sent at once is dropped, as on any Ethernet; a stream that has taken a part of
 * a frame gets the rest later.
 */
export class FramePort {
  private readonly fd: number;
  private readonly watch: Watch;
  private readonly chunk = new Uint8Array(LARGEST_FRAME + LENGTH_BYTES);
  private received = new Uint8Array(0);
  private unsent = new Uint8Array(0);
  private open = true;

  /** Takes a copy of the wire's descriptor; `wire.fd` stays the caller's. */
  constructor(
    private readonly wire: Wire,
    reactor: Reactor,
    private readonly frame: (frame: Uint8Array) => void,
  ) {
    this.fd = dupFd(wire.fd);
    setNonBlocking(this.fd);
    this.watch = reactor.watch(this.fd, POLLIN, () => this.read());
  }

  send(frame: Uint8Array): void {
    if (!this.open) return;
    if (this.wire.kind === "tap") {
      writeSome(this.fd, frame);
      return;
    }
    if (this.unsent.byteLength > 0 && !this.flush(this.unsent)) return;
    const message = new Uint8Array(LENGTH_BYTES + frame.byteLength);
    new DataView(message.buffer).setUint32(0, frame.byteLength);
    message.set(frame, LENGTH_BYTES);
    this.flush(message);
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.watch.close();
    closeFd(this.fd);
  }

  /** False: a part is left for later, or nothing was taken. */
  private flush(bytes: Uint8Array): boolean {
    const n = writeSome(this.fd, bytes);
    if (n <= 0 && this.unsent.byteLength === 0) return false;
    this.unsent = bytes.slice(Math.max(0, n));
    return this.unsent.byteLength === 0;
  }

  private read(): void {
    for (let reads = 0; this.open && reads < READS_AT_A_TIME; reads++) {
      const n = readSome(this.fd, this.chunk);
      if (n === -EAGAIN) return;
      if (n <= 0) {
        this.close();
        return;
      }
      if (this.wire.kind === "tap") this.frame(this.chunk.slice(0, n));
      else this.split(this.chunk.subarray(0, n));
    }
  }

  private split(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.received.byteLength + bytes.byteLength);
    joined.set(this.received);
    joined.set(bytes, this.received.byteLength);
    const view = new DataView(joined.buffer);
    let at = 0;
    while (joined.byteLength - at >= LENGTH_BYTES) {
      const length = view.getUint32(at);
      if (joined.byteLength - at - LENGTH_BYTES < length) break;
      this.frame(joined.slice(at + LENGTH_BYTES, at + LENGTH_BYTES + length));
      at += LENGTH_BYTES + length;
    }
    this.received = joined.slice(at);
  }
}
