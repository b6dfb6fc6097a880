/** Reads big-endian fields one after another; what is not there raises `Truncated`, never anything else. */

/** The packet ends inside what is being read. */
export class Truncated extends Error {}

export class Cursor {
  at = 0;
  private readonly view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.byteLength - this.at;
  }

  u8(): number {
    return this.view.getUint8(this.step(1));
  }

  u16(): number {
    return this.view.getUint16(this.step(2));
  }

  u32(): number {
    return this.view.getUint32(this.step(4));
  }

  take(size: number): Uint8Array {
    const from = this.step(size);
    return this.bytes.subarray(from, from + size);
  }

  rest(): Uint8Array {
    return this.take(this.left);
  }

  private step(size: number): number {
    if (size > this.left) throw new Truncated();
    const from = this.at;
    this.at += size;
    return from;
  }
}
