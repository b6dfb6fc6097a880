/** What a command leaves behind: the RunResult of the lab API and the exec result of the classic one. */

import { GuestError } from "../errors/errors.ts";
import type { CommandResult } from "../lab/ports.ts";
import { defineClass, fn, method } from "../lua/native.ts";
import { own } from "../lua/own.ts";
import { signalName } from "./signals.ts";

/** How much of an output an error shows: its end, where the reason usually is. */
const SHOWN_BYTES = 4096;
const decoder = new TextDecoder();

const shown = (title: string, output: Uint8Array): string => {
  if (output.byteLength === 0) return "";
  const tail = output.byteLength > SHOWN_BYTES ? output.subarray(-SHOWN_BYTES) : output;
  const left = output.byteLength - tail.byteLength;
  const text = decoder.decode(tail).replace(/\n$/, "").replaceAll("\n", "\n  ");
  return `\n${title}:${left === 0 ? "" : ` (${left} bytes before this left out)`}\n  ${text}`;
};

/** "exited with 3", "was killed by SIGSEGV", "timed out". */
export const ending = (result: CommandResult): string => {
  if (result.timedOut) return "timed out and was killed";
  return result.how === "exited" ? `exited with ${result.code}` : `was killed by ${signalName(result.code)}`;
};

/** The error of a command that should have succeeded: its status and both outputs. */
export const commandFailure = (what: string, label: string, result: CommandResult): GuestError =>
  new GuestError(
    `${what}: command ${ending(result)}: ${label}${shown("stdout", result.stdout)}${shown("stderr", result.stderr)}`,
    0,
  );

export class RunResult {
  constructor(
    readonly result: CommandResult,
    /** The command as a person would type it. */
    readonly label: string,
  ) {}

  get status(): "exited" | "signalled" | "timed_out" {
    return this.result.timedOut ? "timed_out" : this.result.how;
  }

  /** The status, -1 for a signal, -2 after a timeout. */
  get exitCode(): number {
    if (this.result.timedOut) return -2;
    return this.result.how === "exited" ? this.result.code : -1;
  }

  get signal(): number | undefined {
    return this.result.how === "signalled" ? this.result.code : undefined;
  }

  get succeeded(): boolean {
    return this.exitCode === 0;
  }

  assertOk(): void {
    if (!this.succeeded) throw commandFailure("assert_ok", this.label, this.result);
  }
}

const FIELDS: Readonly<Record<string, { type: string; doc: string; read: (of: RunResult) => unknown }>> = {
  exit_code: {
    type: "integer",
    doc: "Exit status; -1 when a signal ended the command, -2 when it timed out.",
    read: (of) => of.exitCode,
  },
  stdout: { type: "string", doc: "Standard output, bytes as they came.", read: (of) => of.result.stdout },
  stderr: { type: "string", doc: "Standard error.", read: (of) => of.result.stderr },
  status: {
    type: '"exited"|"signalled"|"timed_out"',
    doc: "How the command ended.",
    read: (of) => of.status,
  },
  timed_out: { type: "boolean", doc: "Whether its timeout ended it.", read: (of) => of.result.timedOut },
  signal: { type: "integer|nil", doc: "The signal that ended it.", read: (of) => of.signal },
};

defineClass<RunResult>({
  name: "RunResult",
  of: RunResult,
  doc: "The result of `vm:run`.",
  methods: {
    ok: method("(): boolean", "True when the exit code is 0.", (self) => self.succeeded),
    assert_ok: method(
      "(): RunResult",
      "Raises with status, signal name and both outputs unless the exit code is 0.",
      (self) => {
        self.assertOk();
        return self;
      },
    ),
  },
  get: (self, key) => own(FIELDS, key)?.read(self),
  fields: FIELDS,
  text: (self) => `RunResult: ${self.label} ${ending(self.result)}`,
});

/** The fields of an exec result: a plain table, with the exit code that a shell would show for a signal. */
export const execFields = ({ result, succeeded }: RunResult): Record<string, unknown> => ({
  ok: succeeded,
  exit_code: result.timedOut ? -2 : result.how === "exited" ? result.code : 128 + result.code,
  stdout: result.stdout,
  stderr: result.stderr,
});

/** `r:assert_ok()` of an exec result. */
export const EXEC_ASSERT_OK = fn(
  "assert_ok",
  "(result: table): table",
  "Raises with both outputs unless the command succeeded.",
  (args) => {
    const table = args.table(1, "exec result");
    if (table.get("ok") === true) return table;
    throw new GuestError(
      `assert_ok: command exited with ${table.integer("exit_code")}${shown("stdout", table.bytes("stdout"))}${shown("stderr", table.bytes("stderr"))}`,
      0,
    );
  },
);
