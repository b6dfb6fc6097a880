/** What a test prints becomes events: a runner's own standard output belongs to nobody. */

import { toBytes, toText } from "../lua/engine.ts";
import { LuaFunction } from "../lua/function.ts";
import { fn } from "../lua/native.ts";
import type { LuaState } from "../lua/state.ts";
import { LuaTable } from "../lua/table.ts";
import { results } from "../lua/values.ts";

/** Longest text of one event; more is said in several. */
const PIECE_BYTES = 1024 * 1024;

/** Redirects `print`, `warn`, `io.write` and the `write` of io.stdout and io.stderr. */
export const captureOutput = (state: LuaState, say: (text: string) => void): void => {
  const pass = (...parts: readonly Uint8Array[]): void => {
    const bytes = Buffer.concat(parts);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) say(toText(bytes.subarray(at, at + PIECE_BYTES)));
  };
  capturePrint(state, pass);
  captureWarnings(state, pass);
  captureStreams(state, pass);
};

type Pass = (...parts: readonly Uint8Array[]) => void;

const capturePrint = (state: LuaState, pass: Pass): void => {
  const tab = toBytes("\t");
  const newline = toBytes("\n");
  state.setGlobal(
    "print",
    fn("print", "(...: any)", "Prints its arguments as `tostring` shows them.", (args) => {
      const parts = args.rest(1).flatMap((value, i) => {
        const bytes = value instanceof Uint8Array ? value : toBytes(state.textOf(value));
        return i === 0 ? [bytes] : [tab, bytes];
      });
      pass(...parts, newline);
    }),
  );
};

/** As in Lua's own program: off until `warn("@on")`. */
const captureWarnings = (state: LuaState, pass: Pass): void => {
  let on = false;
  state.setGlobal(
    "warn",
    fn("warn", "(message: string, ...: string)", "Emits a warning.", (args) => {
      const parts = [args.bytes(1), ...args.rest(2).map((_, i) => args.bytes(i + 2))];
      const text = parts.length === 1 ? toText(parts[0] as Uint8Array) : "";
      if (text === "@on" || text === "@off") on = text === "@on";
      else if (on && !text.startsWith("@")) pass(toBytes("Lua warning: "), ...parts, toBytes("\n"));
    }),
  );
};

/** A file's `write` is looked up in the metatable that all files share: ours serves the standard ones. */
const captureStreams = (state: LuaState, pass: Pass): void => {
  const io = state.table("io");
  const ours = [io.get("stdout"), io.get("stderr")];
  const methods = state.metatableOf(io.get("stdout"))?.get("__index");
  const write = methods instanceof LuaTable ? methods.get("write") : undefined;
  const output = io.get("output");
  if (!(methods instanceof LuaTable && write instanceof LuaFunction && output instanceof LuaFunction)) return;
  const capturing = fn("write", "(...: string|number): file", "Writes to the file.", (args) => {
    const file = args.any(1);
    if (!ours.some((it) => state.rawEqual(it, file))) return results(...write.call(...args.rest(1)));
    pass(...args.rest(2).map((_, i) => args.bytes(i + 2)));
    return file;
  });
  methods.set("write", capturing);
  const ioWrite = methods.get("write") as LuaFunction;
  io.set(
    "write",
    fn("write", "(...: string|number): file", "Writes to the default output.", (args) =>
      results(...ioWrite.call(output.call()[0], ...args.rest(1))),
    ),
  );
};
