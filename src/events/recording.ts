/** Reads a recorded stream back, frame by frame: what `--save-events` wrote, or what comes through a pipe. */

import { closeSync, openSync, readSync } from "node:fs";
import { ProtocolError, UsageError } from "../errors/errors.ts";
import { FrameReader, unpack } from "./frame.ts";
import type { ProviumEvent } from "./types.ts";

const CHUNK_BYTES = 1024 * 1024;

/** The event in the body of a frame. Throws `ProtocolError` for anything that is no event. */
export const eventOf = (body: Uint8Array): ProviumEvent => {
  const value = unpack(body) as Partial<ProviumEvent> | null;
  if (typeof value !== "object" || typeof value?.kind !== "string" || typeof value.payload !== "object")
    throw new ProtocolError("a frame that is no event: it has no `kind` and `payload`");
  // Whoever writes with another library may have chosen a smaller integer type.
  return { ...value, ts: BigInt(value.ts ?? 0) } as ProviumEvent;
};

/**
 * Hands over every event of a file (`-` is standard input) in order. False: the last frame was cut off. Throws
 * `UsageError` for a file that cannot be read, `ProtocolError` for one that is no recording.
 */
export const readRecording = (path: string, deliver: (event: ProviumEvent) => void): boolean => {
  const reader = new FrameReader();
  const chunk = new Uint8Array(CHUNK_BYTES);
  let fd: number;
  try {
    fd = path === "-" ? 0 : openSync(path, "r");
  } catch (cause) {
    throw new UsageError(`${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
  try {
    for (let n = readSync(fd, chunk); n > 0; n = readSync(fd, chunk))
      reader.push(chunk.subarray(0, n), (body) => deliver(eventOf(body)));
  } catch (cause) {
    if (!(cause instanceof ProtocolError))
      throw new UsageError(`${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
    throw new ProtocolError(`${path} is no recording of events: ${cause.message}`, {
      cause,
      hint: "make one with provium --save-events FILE",
    });
  } finally {
    if (fd !== 0) closeSync(fd);
  }
  return reader.atBoundary;
};
