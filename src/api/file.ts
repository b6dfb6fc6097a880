/** An open file in the guest: what `open_file` returns. Its descriptor is the kernel's, in the task that opened it. */

import { ApiError, GuestError } from "../errors/errors.ts";
import type { Integer } from "../lab/ports.ts";
import type { Registry } from "../lab/registry.ts";
import type { Args } from "../lua/args.ts";
import { defineClass, method } from "../lua/native.ts";
import type { LuaTable } from "../lua/table.ts";
import type { Op } from "../sys/op.ts";
import { type GuestHandle, type GuestMethods, guestMethod, guestPath } from "./handles.ts";
import { Held, registryOf } from "./held.ts";
import { Tail } from "./stream.ts";
import { permOption } from "./vm-file.ts";

const PIECE_BYTES = 64 * 1024;
/** What one read or write asks of the guest at most. */
const LARGEST_PIECE = 1024 * 1024;

const MODES = { read: 1, write: 2, create: 4, truncate: 8, append: 16, exclusive: 32 } as const;
type Mode = keyof typeof MODES;
const ACCESS: readonly Mode[] = ["read", "write", "append"];

/** The bits of a mode table. Throws unless it says how the file is to be used. */
const modeBits = (mode: LuaTable): number => {
  const names = Object.keys(MODES) as Mode[];
  mode.only([...names, "perm"]);
  const wanted = names.filter((name) => mode.optBoolean(name) === true);
  if (!wanted.some((name) => ACCESS.includes(name)))
    throw new ApiError(
      `open_file: mode must have read, write or append, got ${wanted.join(", ") || "none of them"}`,
    );
  if (wanted.includes("exclusive") && !wanted.includes("create"))
    throw new ApiError("open_file: mode.exclusive needs mode.create");
  return wanted.reduce((bits, name) => bits | MODES[name], 0);
};

export class GuestFile extends Held {
  constructor(
    guest: GuestHandle,
    registry: Registry,
    private readonly number: number,
    readonly path: Uint8Array,
  ) {
    super(guest, "file", registry);
  }

  get label(): string {
    return `file \`${new TextDecoder().decode(this.path)}\` of ${this.guest.label}`;
  }

  /** The descriptor; 0 when closed. */
  get fd(): number {
    return this.closed ? 0 : this.number;
  }

  /** The descriptor for a call. Throws when closed or gone with an earlier boot. */
  descriptor(call: string): number {
    if (this.closed) throw new ApiError("file is closed");
    this.checkLife(call);
    return this.number;
  }

  *read(count: number): Op<Uint8Array> {
    const fd = this.descriptor("read");
    return yield* this.guest.call("read", function* (actor) {
      const pieces: Uint8Array[] = [];
      for (let left = count; left > 0; ) {
        const data = yield* actor.read(fd, Math.min(left, LARGEST_PIECE));
        if (data.byteLength === 0) break;
        pieces.push(data);
        left -= data.byteLength;
        // What a pipe or a terminal has is not waited beyond.
        if (data.byteLength < LARGEST_PIECE) break;
      }
      return joined(pieces);
    });
  }

  *readAll(): Op<Uint8Array> {
    const fd = this.descriptor("read_all");
    return yield* this.guest.call("read_all", function* (actor) {
      const pieces: Uint8Array[] = [];
      for (;;) {
        const data = yield* actor.read(fd, PIECE_BYTES);
        if (data.byteLength === 0) return joined(pieces);
        pieces.push(data);
      }
    });
  }

  *write(data: Uint8Array): Op<number> {
    const fd = this.descriptor("write");
    return yield* this.guest.call("write", function* (actor) {
      let done = 0;
      do {
        const piece = data.subarray(done, done + LARGEST_PIECE);
        try {
          const written = yield* actor.write(fd, piece);
          done += written;
          if (written < piece.byteLength) break;
        } catch (error) {
          // What was written before counts; the next write tells why there is no more.
          if (done > 0 && error instanceof GuestError) break;
          throw error;
        }
      } while (done < data.byteLength);
      return done;
    });
  }

  seek(offset: Integer, whence: "set" | "cur" | "end", call = "seek"): Op<Integer> {
    const fd = this.descriptor(call);
    return this.guest.call(call, (actor) => actor.seek(fd, offset, whence));
  }

  /** A stream of what is appended behind the cursor. */
  *tail(): Op<Tail> {
    const fd = this.descriptor("tail_stream");
    const registry = registryOf(this.guest);
    const source = yield* this.guest.call("tail_stream", (actor) => actor.tailFd(fd, this.path));
    return new Tail(this.guest, registry, source, {
      kind: "file_tail_stream",
      detail: JSON.stringify(new TextDecoder().decode(this.path)),
    });
  }

  protected *release(): Op<void> {
    // The descriptors of a fork are gone with it; those of a thread stay with the task that made it.
    const { closer } = this.guest;
    if (closer !== undefined) yield* closer.call("close", (actor) => actor.closeFd(this.number));
  }
}

const joined = (pieces: readonly Uint8Array[]): Uint8Array =>
  pieces.length === 1 ? (pieces[0] as Uint8Array) : new Uint8Array(Buffer.concat(pieces));

const WHENCE = ["set", "cur", "end"] as const;

const whenceOf = (args: Args): (typeof WHENCE)[number] => {
  const given = args.optText(2, "whence") ?? "set";
  const whence = WHENCE.find((word) => word === given);
  if (whence === undefined) throw new ApiError(`seek: whence must be set/cur/end, got \`${given}\``);
  return whence;
};

const fileMethod = method<GuestFile>;

defineClass<GuestFile>({
  name: "File",
  of: GuestFile as unknown as abstract new () => GuestFile,
  doc: "An open file in the guest. It is closed with its scope at the latest.",
  methods: {
    read: fileMethod(
      "(count: integer): string",
      "Up to `count` bytes at the cursor; an empty string at the end of the file.",
      function* (self, args) {
        self.descriptor("read");
        return yield* self.read(args.count(1, "count"));
      },
    ),
    read_all: fileMethod("(): string", "The rest of the file.", function* (self) {
      return yield* self.readAll();
    }),
    write: fileMethod(
      "(data: string): integer",
      "Writes at the cursor (with `append`, at the end) and returns how many bytes were written; on a full disk or pipe fewer than given.",
      function* (self, args) {
        self.descriptor("write");
        return yield* self.write(args.bytes(1, "data"));
      },
    ),
    seek: fileMethod(
      '(offset: integer, whence?: "set"|"cur"|"end"): integer',
      "Moves the cursor and returns its new offset from the start.",
      function* (self, args) {
        self.descriptor("seek");
        return yield* self.seek(args.integer(1, "offset"), whenceOf(args));
      },
    ),
    tell: fileMethod("(): integer", "The cursor, asked of the guest.", function* (self) {
      return yield* self.seek(0, "cur", "tell");
    }),
    close: fileMethod("()", "Closes it. Repeatable.", function* (self) {
      yield* self.close();
    }),
    fd: fileMethod(
      "(): integer",
      "The kernel's descriptor in the task that opened the file, for `syscall`, `ioctl` and `fd_stream`; 0 when closed.",
      (self) => self.fd,
    ),
    tail_stream: fileMethod(
      "(): Tail",
      "What is appended behind the cursor, as it comes. The cursor itself stays where it is.",
      function* (self) {
        return yield* self.tail();
      },
    ),
  },
  text: (self) => `File: ${self.label}${self.closed ? " (closed)" : ""}`,
  close: (self) => self.close(),
});

export const OPEN_FILE_METHODS: GuestMethods = {
  open_file: guestMethod(
    "(path: string, mode: {read?, write?, create?, truncate?, append?, exclusive?: boolean, perm?}): File",
    "Opens a file. The mode needs `read`, `write` or `append`; `perm` is that of a file which is created.",
    function* (self, args) {
      const path = guestPath(args.bytes(1, "path"), "open_file");
      const table = args.table(2, "open_file: mode");
      const mode = modeBits(table);
      const perm = permOption(table, "open_file: mode");
      const registry = registryOf(self);
      const fd = yield* self.call("open_file", (actor) => actor.open(path, mode, perm));
      return new GuestFile(self, registry, fd, path);
    },
  ),
};
