/**
 * What every call into the kernel has in common: it is read from its arguments at once and made later, by itself or
 * in a batch; buffers travel with it, and their addresses go to argument slots or into one another.
 */

import { ApiError } from "../errors/errors.ts";
import { MAX_CONTENT_BYTES } from "../guest/messages.ts";
import type { Actor, Integer } from "../lab/ports.ts";
import type { Flavour } from "../lab/quantities.ts";
import type { Args } from "../lua/args.ts";
import type { Op } from "../sys/op.ts";

export interface KernelCall {
  readonly op: (actor: Actor) => Op<unknown>;
  /** Bytes of the buffers that go along. */
  readonly bytes: number;
}

/** One way to write a call, with the text of the manual. */
export interface CallForm {
  readonly signature: string;
  readonly doc: string;
  /** It may have more than one result. */
  readonly several?: boolean;
  readonly read: (args: Args, flavour: Flavour) => KernelCall;
}

/** Largest -errno that the kernel returns. */
const LARGEST_ERRNO = 4095;

/** `{ret, result, errno}` like libc's: -1 and the errno for a failure. */
export const labResult = (ret: Integer): { ret: Integer; result: Integer; errno: number } => {
  const failed = ret < 0 && ret >= -LARGEST_ERRNO;
  return failed ? { ret: -1, result: -1, errno: -Number(ret) } : { ret, result: ret, errno: 0 };
};

/** How many bytes the buffers of a call have. Throws when they are too many for one. */
export const buffersSize = (call: string, bufs: readonly (Uint8Array | undefined)[]): number => {
  const size = bufs.reduce((sum, buf) => sum + (buf?.byteLength ?? 0), 0);
  if (size > MAX_CONTENT_BYTES)
    throw new ApiError(
      `${call}: the buffers of one call hold at most ${MAX_CONTENT_BYTES} bytes together, got ${size}`,
    );
  return size;
};

/** `data`, with zeros up to `length` bytes. */
export const zeros = (data: Uint8Array | undefined, length: number | undefined): Uint8Array => {
  const size = Math.max(data?.byteLength ?? 0, length ?? 0);
  if (size > MAX_CONTENT_BYTES)
    throw new ApiError(`a buffer holds at most ${MAX_CONTENT_BYTES} bytes, got ${size}`);
  const out = new Uint8Array(size);
  if (data !== undefined) out.set(data);
  return out;
};

/** Bytes of an address. */
const POINTER_BYTES = 8;

/** The address of a buffer that is to be written into another one. */
export interface Address {
  /** Where the test said so, for messages: "syscall: request.nested[2].offset". */
  readonly label: string;
  readonly parent: number;
  readonly offset: number;
}

/**
 * Throws when an address does not fit its buffer or lies on another one. `parents` are the buffers by number,
 * `name` what messages call one of them.
 */
export const checkAddresses = (
  addresses: readonly Address[],
  parents: readonly (Uint8Array | undefined)[],
  name: (parent: number) => string,
): void => {
  addresses.forEach(({ label, parent, offset }, i) => {
    const size = parents[parent]?.byteLength ?? 0;
    if (offset + POINTER_BYTES > size)
      throw new ApiError(
        `${label}: an address of ${POINTER_BYTES} bytes at ${offset} does not fit ${name(parent)} of ${size} bytes`,
      );
    const over = addresses
      .slice(0, i)
      .find((other) => other.parent === parent && Math.abs(other.offset - offset) < POINTER_BYTES);
    if (over !== undefined)
      throw new ApiError(
        `${label}: the address at ${offset} of ${name(parent)} overlaps the one at ${over.offset} (${over.label})`,
      );
  });
};
