/**
 * Decoder of the "legacy" LZ4 format, which the kernel's build uses for compressed images: a magic number, then
 * blocks of at most 8 MiB of output, each preceded by its compressed size (both little endian). The end of the
 * data ends the stream. The legacy format has no checksums, so damage is found only where it breaks a rule.
 */

export const LZ4_LEGACY_MAGIC = 0x184c2102;
const LARGEST_BLOCK = 8 << 20;

/** A block is a row of sequences: literals, then a match that repeats `length` bytes from `distance` back. */
const decodeBlock = (from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number => {
  let i = start;
  let o = at;
  const length = (nibble: number): number => {
    let n = nibble;
    if (nibble === 15) {
      let more = 255;
      while (more === 255) {
        if (i >= end) throw new RangeError("LZ4 block ends inside a length");
        more = from[i++]!;
        n += more;
      }
    }
    return n;
  };
  while (i < end) {
    const token = from[i++]!;
    const literals = length(token >> 4);
    if (literals > end - i || literals > to.length - o) throw new RangeError("LZ4 literals run over the end");
    // A loop beats set() for the short runs that make up most of a kernel.
    if (literals < 32) for (let n = 0; n < literals; n++) to[o++] = from[i++]!;
    else {
      to.set(from.subarray(i, i + literals), o);
      i += literals;
      o += literals;
    }
    // The last sequence of a block has literals only.
    if (i === end) return o;
    if (end - i < 2) throw new RangeError("LZ4 block ends inside a match");
    const distance = from[i]! | (from[i + 1]! << 8);
    i += 2;
    const match = length(token & 15) + 4;
    if (distance === 0 || distance > o - at || match > to.length - o)
      throw new RangeError("LZ4 match points outside the data");
    if (distance >= match && match >= 32) {
      to.copyWithin(o, o - distance, o - distance + match);
      o += match;
    } else for (let n = 0; n < match; n++, o++) to[o] = to[o - distance]!;
  }
  return o;
};

/** Walks the blocks; `each` gets where a block begins and ends in the stream. */
const forEachBlock = (data: Uint8Array, each: (start: number, end: number) => void): void => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 8 || view.getUint32(0, true) !== LZ4_LEGACY_MAGIC)
    throw new RangeError("no legacy LZ4 magic");
  for (let at = 4; at < data.length; ) {
    if (data.length - at < 4) throw new RangeError("LZ4 stream ends inside a block header");
    const packed = view.getUint32(at, true);
    at += 4;
    if (packed > data.length - at) throw new RangeError("LZ4 block is longer than the stream");
    each(at, at + packed);
    at += packed;
  }
};

/**
 * Decodes legacy LZ4; `size` is the size of the result where it is known. Throws RangeError when the data is
 * damaged or of another size.
 */
export const decodeLz4 = (data: Uint8Array, size?: number): Uint8Array => {
  let blocks = 0;
  if (size === undefined) forEachBlock(data, () => blocks++);
  const out = new Uint8Array(size ?? blocks * LARGEST_BLOCK);
  let at = 0;
  forEachBlock(data, (start, end) => {
    at = decodeBlock(data, start, end, out.subarray(0, Math.min(out.length, at + LARGEST_BLOCK)), at);
  });
  if (size !== undefined && at !== size)
    throw new RangeError(`LZ4 stream holds ${at} bytes, announced were ${size}`);
  return out.subarray(0, at);
};
