/**
 * Whole files in and out of the guest: pieces of bounded size, several under way at a time, so that a slow
 * round trip does not decide the throughput and neither side holds more than the window.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { ApiError, GuestError } from "../errors/errors.ts";
import { largeBuffer } from "../sys/memory.ts";
import type { Op } from "../sys/op.ts";
import type { Client, Request } from "./client.ts";
import type { Subject } from "./wording.ts";

/** What travels in one frame. */
export const PIECE_BYTES = 1024 * 1024;
/** Requests under way at a time. */
const WINDOW = 4;

const SEEK_SET = 0;
const SEEK_END = 2;
/** A size that the guest claims is believed as far as memory goes for one allocation; beyond it the pieces decide. */
const LARGEST_CLAIM = 2 ** 32;

/** Reads a file to its end. One buffer for the result where the guest can tell the size. */
export function* readFile(client: Client, actor: number, path: Uint8Array): Op<Uint8Array> {
  const subject: Subject = { call: "read_file", object: path };
  const options = { actor, subject };
  const first = yield* client.call(
    "FILE_GET",
    { path, limit: PIECE_BYTES },
    { ...options, late: (reply) => closeGuestFile(client, actor, Number(reply.fd)) },
  );
  const fd = Number(first.fd);
  if (fd < 0) return first.data;
  try {
    const size = yield* sizeOf(client, actor, fd, first.data.byteLength, subject);
    const result = new Gathered(first.data, size);
    const requests: Request<"FILE_READ">[] = [];
    try {
      let asked = first.data.byteLength;
      for (let ended = false; !ended; ) {
        // Ahead of the answers as far as the size goes; the end itself is always asked for.
        while (requests.length === 0 || (requests.length < WINDOW && (size === 0 || asked <= size))) {
          requests.push(client.begin("FILE_READ", { fd, offset: -1, length: PIECE_BYTES }, options));
          asked += PIECE_BYTES;
        }
        const { data } = yield* (requests[0] as Request<"FILE_READ">).wait();
        requests.shift();
        ended = data.byteLength === 0;
        if (result.add(data)) client.recycle(data);
      }
    } finally {
      for (const request of requests) request.abandon();
    }
    return result.bytes();
  } finally {
    closeGuestFile(client, actor, fd);
  }
}

/** Size of an open file and the cursor back at `position`; 0 where there is no such thing (a pipe, /proc). */
function* sizeOf(client: Client, actor: number, fd: number, position: number, subject: Subject): Op<number> {
  try {
    const options = { actor, subject };
    const end = client.begin("FILE_SEEK", { fd, offset: 0, whence: SEEK_END }, options);
    const back = client.begin("FILE_SEEK", { fd, offset: position, whence: SEEK_SET }, options);
    try {
      const { offset } = yield* end.wait();
      yield* back.wait();
      return Number(offset);
    } finally {
      back.abandon();
    }
  } catch (error) {
    if (error instanceof GuestError) return 0;
    throw error;
  }
}

/** A buffer of the size that the guest claims; where the host has no such memory, what is there so far. */
const roomFor = (size: number, first: Uint8Array): Uint8Array => {
  try {
    return largeBuffer(size);
  } catch (error) {
    if (error instanceof RangeError) return first;
    throw error;
  }
};

/** The result of a read: one buffer of the expected size, or pieces where the guest has more or told nothing. */
class Gathered {
  private readonly whole: Uint8Array;
  private used: number;
  private readonly extra: Uint8Array[] = [];
  private extraBytes = 0;

  constructor(first: Uint8Array, size: number) {
    this.whole = size > first.byteLength && size <= LARGEST_CLAIM ? roomFor(size, first) : first;
    if (this.whole !== first) this.whole.set(first);
    this.used = first.byteLength;
  }

  /** True when the bytes were copied, false when they are kept as they are. */
  add(data: Uint8Array): boolean {
    if (this.extraBytes === 0 && data.byteLength <= this.whole.byteLength - this.used) {
      this.whole.set(data, this.used);
      this.used += data.byteLength;
      return true;
    }
    this.extra.push(data);
    this.extraBytes += data.byteLength;
    return false;
  }

  bytes(): Uint8Array {
    if (this.extraBytes === 0)
      return this.used === this.whole.byteLength ? this.whole : this.whole.subarray(0, this.used);
    const joined = largeBuffer(this.used + this.extraBytes);
    joined.set(this.whole.subarray(0, this.used));
    let at = this.used;
    for (const piece of this.extra) {
      joined.set(piece, at);
      at += piece.byteLength;
    }
    return joined;
  }
}

/** Creates or replaces a file with `data`. `perm` undefined: 0666 without the umask. */
export function* writeFile(
  client: Client,
  actor: number,
  path: Uint8Array,
  data: Uint8Array,
  perm: number | undefined,
): Op<void> {
  let at = 0;
  const next = (): Uint8Array => {
    const piece = data.subarray(at, at + PIECE_BYTES);
    at += piece.byteLength;
    return piece;
  };
  yield* put(client, actor, { call: "write_file", object: path }, path, perm, next);
}

/** Streams a host file into the guest. ApiError when the host cannot read it. */
export function* pushFile(
  client: Client,
  actor: number,
  hostPath: string,
  path: Uint8Array,
  perm: number | undefined,
): Op<void> {
  const file = onHost(hostPath, () => openSync(hostPath, "r"));
  try {
    // A piece goes out from where it lies, so its memory is free again when its answer has come.
    const buffers = Array.from({ length: WINDOW + 2 }, () => new Uint8Array(PIECE_BYTES));
    let turn = 0;
    const next = (): Uint8Array => {
      const buffer = buffers[turn++ % buffers.length] as Uint8Array;
      let filled = 0;
      while (filled < buffer.byteLength) {
        const n = onHost(hostPath, () => readSync(file, buffer, filled, buffer.byteLength - filled, null));
        if (n === 0) break;
        filled += n;
      }
      return buffer.subarray(0, filled);
    };
    yield* put(client, actor, { call: "push_file", object: path }, path, perm, next);
  } finally {
    closeSync(file);
  }
}

const onHost = <T>(path: string, act: () => T): T => {
  try {
    return act();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ApiError(`host file \`${path}\` cannot be read: ${why}`, { cause });
  }
};

/** Writes the pieces that `next` gives; one shorter than PIECE_BYTES is the last. */
function* put(
  client: Client,
  actor: number,
  subject: Subject,
  path: Uint8Array,
  perm: number | undefined,
  next: () => Uint8Array,
): Op<void> {
  const options = { actor, subject };
  const first = next();
  const more = first.byteLength === PIECE_BYTES;
  const { fd } = yield* client.call(
    "FILE_PUT",
    { path, data: first, perm: perm ?? -1, more },
    { ...options, late: (reply) => closeGuestFile(client, actor, Number(reply.fd)) },
  );
  if (!more) return;
  const requests: { readonly request: Request<"FILE_WRITE">; readonly size: number }[] = [];
  try {
    for (let ended = false; !ended || requests.length > 0; ) {
      while (!ended && requests.length < WINDOW) {
        const data = next();
        ended = data.byteLength < PIECE_BYTES;
        if (data.byteLength === 0) break;
        const request = client.begin("FILE_WRITE", { fd, offset: -1, data }, options);
        requests.push({ request, size: data.byteLength });
      }
      const oldest = requests[0];
      if (oldest === undefined) break;
      const { written } = yield* oldest.request.wait();
      requests.shift();
      if (Number(written) !== oldest.size)
        throw new GuestError(
          `${subject.call}: the guest took ${written} of ${oldest.size} bytes of a piece`,
          0,
        );
    }
  } catch (error) {
    for (const { request } of requests) request.abandon();
    closeGuestFile(client, actor, Number(fd));
    throw error;
  }
  // The answer to the close is waited for: a file system may report only here that the data did not fit.
  yield* client.call("FILE_CLOSE", { fd }, options);
}

/** Closes a descriptor of the task without waiting; -1 is none. */
const closeGuestFile = (client: Client, actor: number, fd: number): void => {
  if (fd >= 0) client.post("FILE_CLOSE", { fd }, actor);
};
