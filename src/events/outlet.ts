/**
 * A descriptor that takes bytes in order and without blocking the event loop: what is handed over while a write is
 * under way goes out together with the next one. The first failure ends it; what comes later is dropped.
 */

import { fstatSync, ftruncate, write } from "node:fs";

export interface OutletListener {
  /** Bytes that are still to be written; told at each change. */
  backlog(bytes: number): void;
  /** Told once. */
  failed(error: NodeJS.ErrnoException): void;
}

/** Pieces are joined up to this size. */
const WRITE_BYTES = 1024 * 1024;

export class Outlet {
  private readonly queue: Uint8Array[] = [];
  private queued = 0;
  private busy = false;
  private broken = false;
  private idle: (() => void)[] = [];
  /** Where the next write of a regular file goes; pipes and terminals have no position. */
  private position: number | null;
  private restarting = false;

  constructor(
    private readonly fd: number,
    private readonly listener: OutletListener,
  ) {
    this.position = fstatSync(fd).isFile() ? 0 : null;
  }

  write(bytes: Uint8Array): void {
    if (this.broken) return;
    this.queue.push(bytes);
    this.queued += bytes.byteLength;
    this.listener.backlog(this.queued);
    this.advance();
  }

  /** Begins a regular file anew; of anything else nothing can be taken back. */
  restart(): void {
    if (this.position === null || this.broken) return;
    this.queue.length = 0;
    this.queued = 0;
    this.restarting = true;
    this.advance();
  }

  /** Resolves once everything is written, or has failed. */
  flushed(): Promise<void> {
    return this.busy ? new Promise((resolve) => this.idle.push(resolve)) : Promise.resolve();
  }

  private advance(): void {
    if (this.busy) return;
    if (this.restarting) {
      this.restarting = false;
      this.position = 0;
      this.busy = true;
      ftruncate(this.fd, 0, (error) => this.done(error));
    } else if (this.queue.length > 0) {
      this.busy = true;
      this.writeOut(this.take());
    } else {
      for (const resolve of this.idle.splice(0)) resolve();
    }
  }

  private take(): Uint8Array {
    let bytes = 0;
    let count = 0;
    while (count < this.queue.length && (count === 0 || bytes < WRITE_BYTES))
      bytes += (this.queue[count++] as Uint8Array).byteLength;
    const taken = this.queue.splice(0, count);
    return taken.length === 1 ? (taken[0] as Uint8Array) : Buffer.concat(taken);
  }

  private writeOut(bytes: Uint8Array): void {
    write(this.fd, bytes, 0, bytes.byteLength, this.position, (error, written) => {
      if (error !== null) {
        // Somebody has made the descriptor non-blocking: there is nothing to wait on here but time.
        if (error.code === "EAGAIN") setTimeout(() => this.writeOut(bytes), 5);
        else this.done(error);
        return;
      }
      if (this.position !== null) this.position += written;
      this.queued = Math.max(0, this.queued - written);
      this.listener.backlog(this.queued);
      if (written < bytes.byteLength) this.writeOut(bytes.subarray(written));
      else this.done(null);
    });
  }

  private done(error: NodeJS.ErrnoException | null): void {
    this.busy = false;
    if (error !== null) {
      this.broken = true;
      this.queue.length = 0;
      this.queued = 0;
      this.listener.backlog(0);
      this.listener.failed(error);
    }
    this.advance();
  }
}
