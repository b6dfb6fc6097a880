/**
 * The part of Lua's `io` library that the engine lacks: files of the host. `io.open`, `io.lines`, `io.tmpfile`,
 * `io.read` and the methods of a file, as the reference manual has them: a failure is nil, a message and an errno.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApiError } from "../errors/errors.ts";
import type { Args } from "./args.ts";
import { LuaFunction } from "./function.ts";
import { HostFile } from "./host-file.ts";
import { defineClass, fn, method } from "./native.ts";
import type { LuaState } from "./state.ts";
import { LuaFloat, type Results, results } from "./values.ts";

const MODE = /^([rwa])(\+?)b?$/;
/** Longest text that is looked at for a number. */
const LONGEST_NUMBER = 200;
const NUMBER = /^\s*([-+]?(?:0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*(?:[pP][-+]?\d*)?|\d*\.?\d*(?:[eE][-+]?\d*)?))/;
const decoder = new TextDecoder();

interface SystemError {
  readonly message: string;
  readonly code?: string;
  readonly errno?: number;
}

const TEXTS: Readonly<Record<string, string>> = {
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  EISDIR: "Is a directory",
  ENOTDIR: "Not a directory",
  ENOSPC: "No space left on device",
  EBADF: "Bad file descriptor",
};

const failure = (error: unknown, path?: string): Results => {
  const { message, code, errno } = error as SystemError;
  if (code === undefined) throw error;
  const text = TEXTS[code] ?? message.replace(/^[A-Z0-9]+: /, "").replace(/, .*$/, "");
  return results(undefined, path === undefined ? text : `${path}: ${text}`, Math.abs(errno ?? 0));
};

const opened = (path: string, mode: string): HostFile => {
  const match = MODE.exec(mode);
  if (match === null) throw new ApiError(`bad argument #2 to 'open' (invalid mode "${mode}")`);
  return new HostFile(path, `${match[1]}${match[2]}`);
};

const usable = (file: HostFile): HostFile => {
  if (file.closed) throw new ApiError("attempt to use a closed file");
  return file;
};

/** The number that the file goes on with, by Lua's own rules; undefined where there is none. */
const readNumber = (file: HostFile, convert: LuaFunction): unknown => {
  const text = NUMBER.exec(decoder.decode(file.peek(LONGEST_NUMBER)))?.[0] ?? "";
  file.take(text.length);
  return convert.call(text.trim())[0];
};

type Format = number | "n" | "a" | "l" | "L";

const formats = (args: Args, first: number): Format[] => {
  if (args.length < first) return ["l"];
  return Array.from({ length: args.length - first + 1 }, (_, i) => {
    const at = first + i;
    const given = args.any(at);
    if (typeof given === "number" || given instanceof LuaFloat) return args.count(at);
    const name = args.text(at).replace(/^\*/, "")[0];
    if (name === "n" || name === "a" || name === "l" || name === "L") return name;
    return args.fail(at, "invalid format");
  });
};

/** One value a format; the first that cannot be read is nil and the last. */
const read = (file: HostFile, wanted: readonly Format[], convert: LuaFunction): unknown[] => {
  const values: unknown[] = [];
  for (const format of wanted) {
    let value: unknown;
    if (typeof format === "number") value = file.read(format);
    else if (format === "a") value = file.all();
    else if (format === "n") value = readNumber(file, convert);
    else value = file.line(format === "L");
    values.push(value);
    if (value === undefined) break;
  }
  return values;
};

const attempt = (work: () => unknown, path?: string): unknown => {
  try {
    return work();
  } catch (error) {
    return failure(error, path);
  }
};

/** `tonumber` of the state that a file was opened in. */
const converters = new WeakMap<HostFile, LuaFunction>();
const converter = (file: HostFile): LuaFunction => converters.get(file) as LuaFunction;

const lines = (file: HostFile, wanted: readonly Format[], close: boolean) =>
  fn("lines", "(): any...", "The next line.", () => {
    if (file.closed) throw new ApiError("file is already closed");
    const values = read(file, wanted, converter(file));
    if (close && values[0] === undefined) file.close();
    return results(...values);
  });

defineClass<HostFile>({
  name: "FILE*",
  of: HostFile,
  doc: "A file of the host, as Lua's standard library has it.",
  methods: {
    read: method(
      "(...: string|integer): any...",
      "Reads by formats: n, l, L, a or a number of bytes.",
      (self, args) => {
        const wanted = formats(args, 1);
        return attempt(() => results(...read(usable(self), wanted, converter(self))));
      },
    ),
    write: method("(...: string|number): file", "Writes its arguments.", (self, args) => {
      const parts = args.rest(1).map((_, i) => args.bytes(i + 1));
      return attempt(() => {
        for (const part of parts) usable(self).write(part);
        return self;
      });
    }),
    lines: method("(...): function", "An iterator over what read(...) gives.", (self, args) =>
      lines(usable(self), formats(args, 1), false),
    ),
    seek: method(
      '(whence?: "set"|"cur"|"end", offset?: integer): integer',
      "Moves the position.",
      (self, args) => {
        const whence = args.optOneOf(1, ["set", "cur", "end"]) ?? "cur";
        const offset = Number(args.optInteger(2) ?? 0);
        return attempt(() => usable(self).seek(whence, offset));
      },
    ),
    flush: method("(): file", "Does nothing: nothing written is held back.", (self) => usable(self)),
    setvbuf: method("(mode: string): boolean", "Does nothing: nothing written is held back.", () => true),
    close: method("(): boolean", "Closes the file.", (self) =>
      attempt(() => {
        usable(self).close();
        return true;
      }),
    ),
  },
  text: (self) => (self.closed ? "file (closed)" : "file"),
  close: (self) => self.close(),
});

/** Adds what is missing to the state's `io` table. */
export const installFiles = (state: LuaState): void => {
  const io = state.table("io");
  const convert = state.global("tonumber");
  const standardType = io.func("type");
  if (!(convert instanceof LuaFunction)) throw new TypeError("tonumber");
  const open = (path: string, mode: string): HostFile => {
    const file = opened(path, mode);
    converters.set(file, convert);
    return file;
  };
  io.set(
    "open",
    fn("open", "(path: string, mode?: string): file", "Opens a file of the host.", (args) => {
      const path = args.text(1);
      const mode = args.optText(2) ?? "r";
      return attempt(() => open(path, mode), path);
    }),
  );
  io.set(
    "lines",
    fn("lines", "(path: string, ...): function", "An iterator over the lines of a file.", (args) => {
      const path = args.text(1);
      const wanted = formats(args, 2);
      try {
        const file = open(path, "r");
        return results(lines(file, wanted, true), undefined, undefined, file);
      } catch (error) {
        if ((error as SystemError).code === undefined) throw error;
        throw new ApiError(String(failure(error, path).values[1]));
      }
    }),
  );
  io.set(
    "tmpfile",
    fn("tmpfile", "(): file", "A temporary file that has no name any more.", () => {
      const directory = mkdtempSync(join(tmpdir(), "lua-"));
      const file = open(join(directory, "file"), "w+");
      rmSync(directory, { recursive: true });
      return file;
    }),
  );
  io.set(
    "read",
    fn("read", "(): nil", "A test has no standard input: it is at its end.", () => results(undefined)),
  );
  io.set(
    "type",
    fn("type", "(value: any): string|nil", '"file", "closed file" or nil.', (args) => {
      const value = args.any(1);
      if (value instanceof HostFile) return value.closed ? "closed file" : "file";
      return results(...standardType.call(value));
    }),
  );
};
