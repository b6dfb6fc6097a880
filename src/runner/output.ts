/** What a test prints becomes events: a runner's own standard output belongs to nobody. */

import { toText } from "../lua/engine.ts";
import { LuaFunction } from "../lua/function.ts";
import { fn } from "../lua/native.ts";
import type { LuaState } from "../lua/state.ts";
import { results } from "../lua/values.ts";

/** Longest text of one event; more is said in several. */
const PIECE_BYTES = 1024 * 1024;

/** Redirects `print`, `io.write` and writes to io.stdout and io.stderr. */
export const captureOutput = (state: LuaState, say: (text: string) => void): void => {
  const pass = (bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) say(toText(bytes.subarray(at, at + PIECE_BYTES)));
  };
  const joined = (parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);
  const tab = new Uint8Array([9]);
  const newline = new Uint8Array([10]);

  state.setGlobal(
    "print",
    fn("print", "(...: any)", "Prints its arguments as `tostring` shows them.", (args) => {
      const parts = args.rest(1).flatMap((value, i) => {
        const bytes = value instanceof Uint8Array ? value : new TextEncoder().encode(state.textOf(value));
        return i === 0 ? [bytes] : [tab, bytes];
      });
      pass(joined([...parts, newline]));
    }),
  );

  const io = state.table("io");
  const write = fn("write", "(...: string|number)", "Writes to the default output.", (args) => {
    const parts = args.rest(1).map((_, i) => args.bytes(i + 1));
    pass(joined(parts));
    return io.get("stdout");
  });
  const original = io.get("write");
  const output = io.get("output");
  const stdout = io.get("stdout");
  if (!(original instanceof LuaFunction && output instanceof LuaFunction)) return;
  io.set(
    "write",
    fn("write", "(...: string|number): file", "Writes to the default output.", (args) =>
      state.rawEqual(output.call()[0], stdout)
        ? write.body(args)
        : results(...original.call(...args.rest(1))),
    ),
  );
};
