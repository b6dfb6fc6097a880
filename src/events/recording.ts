/** Reads a recorded stream back, frame by frame: what `--save-events` wrote, or what comes through a pipe. */

import { closeSync, openSync, readSync } from "node:fs";
import { ProtocolError, UsageError } from "../errors/errors.ts";
import { FrameReader, unpack } from "./frame.ts";
import { payloadProblem } from "./shape.ts";
import type { ProviumEvent } from "./types.ts";

const CHUNK_BYTES = 1024 * 1024;

/** Nanoseconds since the epoch; undefined for what is no count of them. */
const timeOf = (ts: unknown): bigint | undefined => {
  // Whoever writes with another library may have chosen a smaller integer type.
  if (typeof ts === "number" && Number.isSafeInteger(ts)) return BigInt(ts);
  return typeof ts === "bigint" ? ts : undefined;
};

/** The event in the body of a frame. Throws `ProtocolError` for anything that is no event. */
export const eventOf = (body: Uint8Array): ProviumEvent => {
  const value = unpack(body) as Partial<Record<"ts" | "kind" | "payload", unknown>> | null;
  if (typeof value !== "object" || typeof value?.kind !== "string")
    throw new ProtocolError("a frame that is no event: it has no `kind`");
  const ts = timeOf(value.ts);
  const problem = ts === undefined ? "`ts` is no integer" : payloadProblem(value.kind, value.payload);
  if (problem !== undefined) throw new ProtocolError(`a frame that is no event: ${problem}`);
  return { ...value, ts } as ProviumEvent;
};

/**
 * Every event of a file (`-` is standard input) in order; at the end whether the last frame was whole. Throws
 * `UsageError` for a file that cannot be read, `ProtocolError` for one that is no recording.
 */
export function* recorded(path: string): Generator<ProviumEvent, boolean> {
  const reader = new FrameReader();
  const chunk = new Uint8Array(CHUNK_BYTES);
  const unreadable = (cause: unknown): UsageError =>
    new UsageError(`${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  let fd: number;
  try {
    fd = path === "-" ? 0 : openSync(path, "r");
  } catch (cause) {
    throw unreadable(cause);
  }
  try {
    for (;;) {
      const bodies: Uint8Array[] = [];
      let n: number;
      try {
        n = readSync(fd, chunk);
      } catch (cause) {
        throw unreadable(cause);
      }
      if (n === 0) return reader.atBoundary;
      let events: ProviumEvent[];
      try {
        reader.push(chunk.subarray(0, n), (body) => bodies.push(body));
        events = bodies.map(eventOf);
      } catch (cause) {
        throw new ProtocolError(`${path} is no recording of events: ${(cause as Error).message}`, {
          cause,
          hint: "make one with provium --save-events FILE",
        });
      }
      yield* events;
    }
  } finally {
    if (fd !== 0) closeSync(fd);
  }
}

/** Hands over every event of a file; false: the last frame was cut off. Throws as `recorded` does. */
export const readRecording = (path: string, deliver: (event: ProviumEvent) => void): boolean => {
  const events = recorded(path);
  for (;;) {
    const { done, value } = events.next();
    if (done) return value;
    deliver(value);
  }
};
