/** Inputs from inputs: a few changes at a time to one that is known, chosen by a generator that a seed starts. */

/** xorshift128+ would do as well; what matters is that a seed repeats the sequence. mulberry32, public domain. */
export const generator = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

/** Bytes of an input. */
export const LARGEST = 64 * 1024;
/** Values at which lengths and counts go wrong. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

const splice = (into: Uint8Array, from: number, to: number, piece: Uint8Array): Uint8Array => {
  const made = new Uint8Array(from + piece.byteLength + into.byteLength - to);
  made.set(into.subarray(0, from));
  made.set(piece, from);
  made.set(into.subarray(to), from + piece.byteLength);
  return made.subarray(0, LARGEST);
};

/** `input` after one to eight changes; `pool` has what pieces are taken from. */
export const mutate = (
  input: Uint8Array,
  pool: readonly Uint8Array[],
  words: readonly Uint8Array[],
  random: () => number,
): Uint8Array => {
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  let made: Uint8Array = Uint8Array.from(input);
  const changes = 1 + below(8);
  for (let i = 0; i < changes; i++) {
    const at = below(made.byteLength + 1);
    const end = Math.min(made.byteLength, at + below(1 + below(64)));
    switch (below(words.length > 0 ? 9 : 7)) {
      case 0:
        if (at < made.byteLength) made[at] = (made[at] as number) ^ (1 << below(8));
        break;
      case 1:
        if (at < made.byteLength) made[at] = below(256);
        break;
      case 2:
        made = splice(made, at, end, new Uint8Array(0));
        break;
      case 3:
        made = splice(made, at, at, made.subarray(at, end));
        break;
      case 4: {
        const other = pick(pool);
        const from = below(other.byteLength + 1);
        made = splice(made, at, end, other.subarray(from, from + below(256)));
        break;
      }
      case 5: {
        const edge = new DataView(new ArrayBuffer(4));
        edge.setUint32(0, pick(EDGES), random() < 0.5);
        made = splice(made, at, Math.min(made.byteLength, at + 4), new Uint8Array(edge.buffer));
        break;
      }
      case 6:
        made = splice(made, at, made.byteLength, new Uint8Array(0));
        break;
      case 7:
        made = splice(made, at, at, pick(words));
        break;
      default:
        made = splice(made, at, end, pick(words));
    }
  }
  return made;
};

/** The shortest input that the loop finds for which `fails` still holds: leaves out ever smaller pieces. */
export const reduce = (input: Uint8Array, fails: (input: Uint8Array) => boolean): Uint8Array => {
  let made = input;
  for (let size = Math.ceil(made.byteLength / 2); size >= 1; size = Math.floor(size / 2))
    for (let at = 0; at < made.byteLength; ) {
      const shorter = splice(made, at, Math.min(made.byteLength, at + size), new Uint8Array(0));
      if (fails(shorter)) made = shorter;
      else at += size;
    }
  return made;
};
