/**
 * One output stream of a guest process as the host has it: collected pieces and the credit that bounds them.
 *
 * The agent may send as many bytes as it has credit for. Credit for what arrived is given back in batches, and
 * only while the host wants more: somebody waits for the result, or little has been collected so far.
 */

import { ProtocolError } from "../errors/errors.ts";
import type { OutputStream } from "../lab/ports.ts";
import { largeBuffer } from "../sys/memory.ts";

/** Credit that a process starts with, per stream. */
export const WINDOW_BYTES = 512 * 1024;
/** What is collected of a stream that nobody waits for; then the process is held back. */
export const UNCLAIMED_BYTES = 16 * 1024 * 1024;
const BATCH_BYTES = WINDOW_BYTES / 4;

/** Pieces below SMALL are put together into blocks, so that a process which writes byte by byte costs bytes. */
const SMALL_BYTES = 4 * 1024;
const BLOCK_BYTES = 64 * 1024;

const NOTHING = new Uint8Array(0);

/** A stream at one moment. */
export interface OutputState {
  readonly pieces: readonly Uint8Array[];
  readonly size: number;
  readonly credit: number;
  readonly ungranted: number;
  readonly ended: boolean;
  readonly failure: Error | undefined;
}

export class Output implements OutputStream {
  private pieces: Uint8Array[] = [];
  private size = 0;
  /** The last piece is the first `used` bytes of this. */
  private block = NOTHING;
  private used = 0;
  /** Bytes that the agent may still send. */
  private credit = WINDOW_BYTES;
  private ungranted = 0;
  ended = false;
  failure: Error | undefined;
  /** Grows with every piece: whether anything came lately. */
  pushes = 0;

  /** `grant` sends credit to the agent. */
  constructor(private readonly grant: (bytes: number) => void) {}

  get pending(): number {
    return this.size;
  }

  take(limit: number): Uint8Array | undefined {
    const oldest = this.pieces[0];
    if (oldest === undefined) return undefined;
    const taken = oldest.byteLength <= limit ? oldest : oldest.subarray(0, limit);
    if (taken === oldest) this.pieces.shift();
    else this.pieces[0] = oldest.subarray(limit);
    // The open block still has the bytes that were taken.
    if (this.pieces.length <= 1) this.block = NOTHING;
    this.size -= taken.byteLength;
    if (this.ungranted >= BATCH_BYTES) this.replenish(false);
    return taken;
  }

  /** Nothing comes any more, for `failure` where that was not the natural end. */
  end(failure?: Error): void {
    if (this.ended) return;
    this.ended = true;
    this.failure = failure;
  }

  /** How it stands now. Pieces that are there never change. */
  get state(): OutputState {
    const { pieces, size, credit, ungranted, ended, failure } = this;
    return { pieces: [...pieces], size, credit, ungranted, ended, failure };
  }

  /** Goes back to how it stood. */
  set state(state: OutputState) {
    this.pieces = [...state.pieces];
    this.size = state.size;
    this.credit = state.credit;
    this.ungranted = state.ungranted;
    this.ended = state.ended;
    this.failure = state.failure;
    this.block = NOTHING;
  }

  /** Forgets what is pending. */
  drop(): void {
    this.pieces = [];
    this.block = NOTHING;
    this.size = 0;
  }

  /** ProtocolError when the agent sends more than it may. */
  push(data: Uint8Array, last: boolean, wanted: boolean): void {
    if (this.ended) throw new ProtocolError("the agent sent output after the end of a stream");
    if (data.byteLength > this.credit)
      throw new ProtocolError(
        `the agent sent ${data.byteLength} bytes of output with credit for ${this.credit} bytes`,
      );
    this.pushes++;
    this.ended = last;
    if (data.byteLength > 0) {
      this.keep(data);
      this.size += data.byteLength;
      this.credit -= data.byteLength;
      this.ungranted += data.byteLength;
    }
    if (this.ungranted >= BATCH_BYTES) this.replenish(wanted);
  }

  private keep(data: Uint8Array): void {
    if (data.byteLength >= SMALL_BYTES || this.pieces.length === 0) {
      this.pieces.push(data);
      this.block = NOTHING;
    } else {
      const open = this.used + data.byteLength <= this.block.byteLength;
      if (!open) {
        this.block = new Uint8Array(BLOCK_BYTES);
        this.used = 0;
      }
      this.block.set(data, this.used);
      this.used += data.byteLength;
      const piece = this.block.subarray(0, this.used);
      if (open) this.pieces[this.pieces.length - 1] = piece;
      else this.pieces.push(piece);
    }
  }

  /** Gives back the credit of what arrived, if more is wanted. */
  replenish(wanted: boolean): void {
    if (this.ended || this.ungranted === 0 || !(wanted || this.size < UNCLAIMED_BYTES)) return;
    const bytes = this.ungranted;
    this.ungranted = 0;
    this.credit += bytes;
    this.grant(bytes);
  }

  /** Everything so far in one piece; the pieces are let go while they are joined. */
  joined(): Uint8Array {
    if (this.pieces.length === 0) return NOTHING;
    if (this.pieces.length === 1) return this.pieces[0] as Uint8Array;
    const whole = largeBuffer(this.size);
    let at = 0;
    for (let i = 0; i < this.pieces.length; i++) {
      const piece = this.pieces[i] as Uint8Array;
      whole.set(piece, at);
      at += piece.byteLength;
      this.pieces[i] = NOTHING;
    }
    this.pieces = [whole];
    this.block = NOTHING;
    return whole;
  }
}
