/** Signal numbers of Linux on x86-64 and the names under which they are shown. */

import { ApiError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import { described } from "../lab/quantities.ts";
import type { LuaValue } from "../lua/values.ts";
import { unwrapped } from "./arguments.ts";

const NAMES = [
  "",
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGILL",
  "SIGTRAP",
  "SIGABRT",
  "SIGBUS",
  "SIGFPE",
  "SIGKILL",
  "SIGUSR1",
  "SIGSEGV",
  "SIGUSR2",
  "SIGPIPE",
  "SIGALRM",
  "SIGTERM",
  "SIGSTKFLT",
  "SIGCHLD",
  "SIGCONT",
  "SIGSTOP",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGURG",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGVTALRM",
  "SIGPROF",
  "SIGWINCH",
  "SIGIO",
  "SIGPWR",
  "SIGSYS",
] as const;

export const SIGKILL = 9;

/** "SIGKILL" for 9, "signal 40" for one without a name. */
export const signalName = (signal: number): string => NAMES[signal] || `signal ${signal}`;

export const SIGTERM = 15;
/** The last real-time signal. */
const LAST_SIGNAL = 64;

const NUMBERS: ReadonlyMap<string, number> = new Map(
  NAMES.flatMap((name, number) => (name === "" ? [] : [[name.slice(3).toLowerCase(), number] as const])),
);

/**
 * A signal as tests give it: a number, its digits, or a name with or without "SIG" in any case. `what` names the
 * argument in errors: "kill: signal".
 */
export const signalArgument = (given: LuaValue, what: string): number => {
  const value = unwrapped(given);
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= LAST_SIGNAL)
    return value;
  if (!(value instanceof Uint8Array))
    throw new ApiError(
      `${what} must be a signal name or a number from 0 to ${LAST_SIGNAL}, got ${described(value)}`,
    );
  const text = new TextDecoder().decode(value);
  const digits = /^\d{1,2}$/.test(text) ? Number(text) : undefined;
  if (digits !== undefined && digits <= LAST_SIGNAL) return digits;
  const number = NUMBERS.get(text.toLowerCase().replace(/^sig/, ""));
  if (number !== undefined) return number;
  throw new ApiError(`unknown signal name \`${text}\``, {
    hint: suggestion(text.toLowerCase().replace(/^sig/, ""), [...NUMBERS.keys()]),
  });
};
