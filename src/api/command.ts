/** The call shapes of `run` and its relatives, parsed into one command. */

import { ApiError } from "../errors/errors.ts";
import type { Command } from "../lab/ports.ts";
import { described } from "../lab/quantities.ts";
import type { Args } from "../lua/args.ts";
import type { LuaTable } from "../lua/table.ts";
import type { LuaValue } from "../lua/values.ts";
import { wantBytes } from "../lua/want.ts";
import { byteStrings, durationMs, unwrapped } from "./arguments.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const SHELL = ["/bin/sh", "-c"].map((word) => encoder.encode(word));

export const RUN_OPTIONS = ["args", "env", "env_clear", "cwd", "stdin", "timeout", "timeout_ms"] as const;

export interface ParsedCommand {
  readonly command: Command;
  /** As a person would type it, for messages. */
  readonly label: string;
}

const noNul = (word: Uint8Array, what: string): Uint8Array => {
  if (word.includes(0)) throw new ApiError(`${what} contains a NUL byte, which no argument can`);
  return word;
};

const environment = (table: LuaTable): Uint8Array[] =>
  table.entries().map(([key, value]) => {
    if (!(key instanceof Uint8Array) || key.byteLength === 0 || key.includes(0x3d) || key.includes(0))
      throw new ApiError(`${table.label}: a key must be a variable's name, got ${described(unwrapped(key))}`);
    const name = decoder.decode(key);
    const text = wantBytes(value, (why) => table.fail(name, why));
    noNul(text, `${table.label}.${name}`);
    return Uint8Array.of(...key, 0x3d, ...text);
  });

/** Milliseconds from `timeout` or `timeout_ms`; 0, the value for no limit, when neither is given. */
const limit = (options: LuaTable): number => {
  const timeout = options.get("timeout");
  const ms = options.get("timeout_ms");
  if (timeout !== undefined && ms !== undefined)
    throw new ApiError(`${options.label} has both timeout and timeout_ms; give one of them`);
  if (ms !== undefined) return options.count("timeout_ms");
  if (timeout === undefined) return 0;
  // A limit shorter than the agent can count is still a limit.
  const asked = durationMs(timeout, `${options.label}.timeout`);
  return asked === 0 ? 0 : Math.max(1, Math.round(asked));
};

const label = (argv: readonly Uint8Array[], shell: boolean): string => {
  const words = argv.map((word) => decoder.decode(word));
  const text = shell
    ? (words[2] as string)
    : words.map((w) => (/^[\w@%+=:,./-]+$/.test(w) ? w : `'${w}'`)).join(" ");
  return text.length > 200 ? `${text.slice(0, 197)}...` : text;
};

const build = (argv: readonly Uint8Array[], shell: boolean, options: LuaTable | undefined): ParsedCommand => {
  const env = options?.optTable("env");
  return {
    label: label(argv, shell),
    command: {
      argv,
      env: env === undefined ? [] : environment(env),
      envClear: options?.optBoolean("env_clear") ?? false,
      cwd: options?.optBytes("cwd"),
      stdin: options?.optBytes("stdin"),
      stdinOpen: false,
      timeoutMs: options === undefined ? 0 : limit(options),
    },
  };
};

/** A shell command with the options of `run` other than `args`. */
export const shellCommand = (text: Uint8Array, call: string, options?: LuaTable): ParsedCommand => {
  options?.only(RUN_OPTIONS.filter((key) => key !== "args"));
  return build([...SHELL, noNul(text, `${call}: the command`)], true, options);
};

/** A shell script with its positional parameters `$1`, `$2`, …: how a value reaches a shell unharmed. */
export const shellScript = (script: string, name: string, parameters: readonly Uint8Array[]): ParsedCommand =>
  build([...SHELL, encoder.encode(script), encoder.encode(name), ...parameters], true, undefined);

const isPositional = ([key]: [LuaValue, LuaValue]): boolean => typeof key === "number";

/**
 * The four shapes: a shell text; a shell text with options; a program with its arguments, positional or as
 * `args`; an array with program and arguments. The second argument is options as soon as it has a text key.
 */
export const parseRun = (args: Args, call: string): ParsedCommand => {
  const checked = (words: readonly Uint8Array[]): Uint8Array[] =>
    words.map((word, i) => noNul(word, `${call}: argument #${i}`));
  if (args.type(1) === "table") {
    const table = args.table(1, `${call}: command`);
    // table.pack says in `n` how many elements there are.
    const named = table.keys().find((key) => key !== "n");
    if (named !== undefined)
      throw new ApiError(`${call}: the command array has a key \`${named}\``, {
        hint: `Options go into a second table: ${call}({"program", "argument"}, {${named} = …}).`,
      });
    const vector = byteStrings(table);
    if (vector.length === 0)
      throw new ApiError(`${call}: the command array is empty; it must begin with a program`);
    const options = args.optTable(2, `${call}: opts`);
    options?.only(RUN_OPTIONS.filter((key) => key !== "args"));
    return build(checked(vector), false, options);
  }
  const program = args.bytes(1, "cmd");
  const second = args.optTable(2, `${call}: opts`);
  const entries = second?.entries() ?? [];
  if (second === undefined || entries.length === 0) return shellCommand(program, call);
  const positional = byteStrings(second);
  if (entries.every(isPositional)) return build(checked([program, ...positional]), false, undefined);
  second.only(RUN_OPTIONS, true);
  const vector = second.optTable("args");
  if (vector !== undefined && positional.length > 0)
    throw new ApiError(`${call}: opts has positional entries and args; give the arguments in one way`);
  if (vector === undefined && positional.length === 0) return shellCommand(program, call, second);
  return build(
    checked([program, ...(vector === undefined ? positional : byteStrings(vector))]),
    false,
    second,
  );
};
