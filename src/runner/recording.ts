/** What a fixture's Lua code reads of the host by Lua's own library goes to the recorder. */

import type { Recorder } from "../fixture/recorder.ts";
import { toText } from "../lua/engine.ts";
import { LuaFunction } from "../lua/function.ts";
import { fn } from "../lua/native.ts";
import type { LuaState } from "../lua/state.ts";
import { results } from "../lua/values.ts";

type Note = (name: string, mode: string) => void;

/** Puts a function in front of `name` that notes its first two arguments, where they are text. */
const noting = (original: LuaFunction, name: string, note: Note): ReturnType<typeof fn> =>
  fn(name, "(...)", "As in Lua; noted while a fixture is built.", (args) => {
    const [first, second] = args.rest(1);
    if (first instanceof Uint8Array) note(toText(first), second instanceof Uint8Array ? toText(second) : "r");
    return results(...original.call(...args.rest(1)));
  });

/** Wraps `io.open`, `io.lines`, `io.input`, `loadfile`, `dofile` and `os.getenv`. */
export const recordReads = (state: LuaState, recorder: Recorder): void => {
  const io = state.table("io");
  const wrap = (table: typeof io, name: string, note: Note): void => {
    const original = table.get(name);
    if (original instanceof LuaFunction) table.set(name, noting(original, name, note));
  };
  const reads: Note = (path) => recorder.reads(path);
  wrap(io, "open", (path, mode) => {
    if (mode.startsWith("w") || mode.startsWith("a")) recorder.writes(path);
    else recorder.reads(path);
  });
  wrap(io, "lines", reads);
  wrap(io, "input", reads);
  wrap(state.table("os"), "getenv", (name) => recorder.variable(name));
  for (const name of ["loadfile", "dofile"]) {
    const original = state.global(name);
    if (original instanceof LuaFunction) state.setGlobal(name, noting(original, name, reads));
  }
};
