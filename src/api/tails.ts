/** Streams of files and descriptors in the guest. */

import { ApiError } from "../errors/errors.ts";
import type { Integer, TailStart } from "../lab/ports.ts";
import { described } from "../lab/quantities.ts";
import type { Args } from "../lua/args.ts";
import type { LuaValue } from "../lua/values.ts";
import { unwrapped } from "./arguments.ts";
import { GuestFile } from "./file.ts";
import { type GuestHandle, type GuestMethods, guestMethod, guestPath } from "./handles.ts";
import { registryOf } from "./held.ts";
import { Tail } from "./stream.ts";

/** Where a tail begins: a word, an offset, or a negative distance from the end. Fractions are cut off. */
export const tailStart = (given: LuaValue): TailStart => {
  const value = unwrapped(given);
  if (value === undefined) return "end";
  const text = value instanceof Uint8Array ? new TextDecoder().decode(value) : undefined;
  if (text === "end") return "end";
  if (text === "beginning" || text === "start") return { offset: 0 };
  if (typeof value === "bigint") return value < 0n ? { fromEnd: -value } : { offset: value };
  if (typeof value === "number" && Number.isFinite(value)) {
    const whole = Math.trunc(value);
    return whole < 0 ? { fromEnd: -whole } : { offset: whole + 0 };
  }
  throw new ApiError(
    `tail_file: opts.start must be "end", "beginning", "start" or an offset, got ${described(value)}`,
  );
};

/** A File of this guest, or a plain descriptor. */
const descriptorOf = (self: GuestHandle, args: Args): Integer => {
  const given = args.any(1);
  if (!(given instanceof GuestFile)) {
    if (args.type(1) !== "number")
      args.fail(1, `fd: File or integer expected, got ${described(unwrapped(given))}`);
    return args.integer(1, "fd");
  }
  const fd = given.descriptor("fd_stream");
  if (!given.guest.sharesFilesWith(self))
    throw new ApiError(`fd_stream: ${given.label} is not open in ${self.label}`, {
      hint: "A descriptor belongs to the task that opened it: call fd_stream on the handle that opened the file.",
    });
  return fd;
};

export const TAIL_METHODS: GuestMethods = {
  tail_file: guestMethod(
    '(path: string, opts?: {start?: "end"|"beginning"|"start"|number}): Tail',
    "Follows a file by its name: what is appended comes as it is written. `start` is where to begin: `end` (default), `beginning`, an offset, or, negative, so many bytes before the end. A file that shrinks is read from its start again; one that is replaced is followed under its name.",
    function* (self, args) {
      const path = guestPath(args.bytes(1, "path"), "tail_file");
      const opts = args.optTable(2, "tail_file: opts");
      opts?.only(["start"]);
      const start = tailStart(opts?.get("start"));
      const registry = registryOf(self);
      const source = yield* self.call("tail_file", (actor) => actor.tail(path, start));
      return new Tail(self, registry, source, {
        kind: "tail_file",
        detail: JSON.stringify(new TextDecoder().decode(path)),
      });
    },
  ),
  fd_stream: guestMethod(
    "(fd: integer|File): Tail",
    "What can be read from a descriptor of this task (a pipe, a socket, a device), as it comes, until its end.",
    function* (self, args) {
      const fd = descriptorOf(self, args);
      const registry = registryOf(self);
      const source = yield* self.call("fd_stream", (actor) => actor.fdStream(fd));
      return new Tail(self, registry, source, { kind: "fd_stream", detail: `fd=${fd}` });
    },
  ),
};
