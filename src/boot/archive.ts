/**
 * Archives in the newc format, as the kernel unpacks them: written with cpio-stream, read by a walk over headers.
 * Equal entries give equal bytes: time 0, owner root, inodes counted from 1.
 *
 * cpio-stream is a stream, but it produces everything inside the calls that feed it: reading after each entry
 * gets the bytes without a turn of the event loop (`process.nextTick` only runs its callbacks, which nobody needs).
 */

import cpio from "cpio-stream";

export type ArchiveEntry =
  | { readonly type: "directory"; readonly name: string; readonly mode: number }
  | { readonly type: "file"; readonly name: string; readonly mode: number; readonly data: Uint8Array };

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const HEADER = 110;
const TRAILER = "TRAILER!!!";

/** Bytes that the kernel skips between archives, so that the next one begins on a multiple of four. */
const padding = (length: number): number => (4 - (length % 4)) % 4;

/** One archive after the other, each on the boundary that the kernel wants. */
export const concatenateArchives = (archives: readonly Uint8Array[]): Uint8Array => {
  const size = archives.reduce((sum, one) => sum + one.length + padding(one.length), 0);
  const all = new Uint8Array(size);
  let at = 0;
  for (const one of archives) {
    all.set(one, at);
    at += one.length + padding(one.length);
  }
  return all;
};

/** An archive of `entries` in their order. Names are relative to the root, without a leading slash. */
export const buildArchive = (entries: readonly ArchiveEntry[]): Uint8Array => {
  const pack = cpio.pack({ format: "newc" });
  const chunks: Buffer[] = [];
  /** Takes what was produced since; returns its first piece. */
  const drain = (): Buffer | undefined => {
    const before = chunks.length;
    for (let chunk = pack.read(); chunk !== null; chunk = pack.read()) chunks.push(chunk);
    return chunks[before];
  };
  entries.forEach((entry, index) => {
    const name = Buffer.from(entry.name);
    const file = entry.type === "file";
    const data = file
      ? Buffer.from(entry.data.buffer, entry.data.byteOffset, entry.data.byteLength)
      : Buffer.alloc(0);
    const header = {
      // The package measures names in characters; the kernel wants bytes. So it gets a name of the right length
      // and the real one is written over it.
      name: "n".repeat(name.length),
      mode: (file ? S_IFREG : S_IFDIR) | (entry.mode & 0o7777),
      ino: index + 1,
      // 0 would mean "now" to the package, the epoch as a date does not.
      mtime: new Date(0),
    };
    // An empty buffer instead of none: a file without contents would wait for a stream.
    pack.entry(header, data);
    const chunk = drain();
    if (chunk === undefined || chunk.length < HEADER + name.length)
      throw new Error("cpio-stream gave no header");
    name.copy(chunk, HEADER);
  });
  pack.finalize();
  drain();
  return concatenateArchives([Buffer.concat(chunks)]);
};

export interface ListedEntry {
  readonly name: string;
  readonly kind: "directory" | "file" | "symlink" | "other";
  readonly mode: number;
  readonly data: Uint8Array;
}

export const isArchive = (data: Uint8Array): boolean =>
  data.length >= HEADER && /^07070[12]$/.test(Buffer.from(data.subarray(0, 6)).toString("latin1"));

const kindOf = (mode: number): ListedEntry["kind"] => {
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return "directory";
  if (type === S_IFREG) return "file";
  return type === S_IFLNK ? "symlink" : "other";
};

/**
 * The entries of one archive and where it ends (after its trailer). Names lose a leading `./` or `/`.
 * Throws RangeError for damaged headers and an archive without its end.
 */
export const readArchive = (data: Uint8Array): { readonly entries: ListedEntry[]; readonly end: number } => {
  const entries: ListedEntry[] = [];
  const field = (at: number, index: number): number => {
    const text = Buffer.from(data.subarray(at + 6 + index * 8, at + 14 + index * 8)).toString("latin1");
    if (!/^[0-9a-fA-F]{8}$/.test(text)) throw new RangeError(`damaged archive header at byte ${at}`);
    return Number.parseInt(text, 16);
  };
  for (let at = 0; at + HEADER <= data.length; ) {
    if (!isArchive(data.subarray(at))) throw new RangeError(`no archive header at byte ${at}`);
    const mode = field(at, 1);
    const size = field(at, 6);
    const nameSize = field(at, 11);
    const bodyAt = at + HEADER + nameSize + padding(HEADER + nameSize);
    const end = bodyAt + size;
    if (end > data.length) throw new RangeError(`the archive ends inside an entry at byte ${at}`);
    const full = Buffer.from(data.subarray(at + HEADER, at + HEADER + nameSize - 1)).toString("utf8");
    if (full === TRAILER) return { entries, end: Math.min(data.length, end + padding(size)) };
    const name = full.replace(/^\.?\/+/, "");
    if (name !== "" && name !== ".")
      entries.push({ name, kind: kindOf(mode), mode: mode & 0o7777, data: data.subarray(bodyAt, end) });
    at = end + padding(size);
  }
  throw new RangeError("the archive has no end");
};
