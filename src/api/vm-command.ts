/** Commands in the guest, and what is built of them. */

import type { LuaTable } from "../lua/table.ts";
import type { Op } from "../sys/op.ts";
import { type ParsedCommand, parseRun, shellCommand, shellScript } from "./command.ts";
import { type GuestHandle, type GuestMethods, guestMethod } from "./handles.ts";
import { decode } from "./json.ts";
import { commandFailure, execFields, RunResult } from "./result.ts";
import { parseWait, waitUntil } from "./waiting.ts";

/** Interval of the classic `vm:wait_until`. */
const POLL_MS = 500;

/** Runs a command to its end. */
export function* runCommand(
  self: GuestHandle,
  call: string,
  { command, label }: ParsedCommand,
): Op<RunResult> {
  return new RunResult(yield* self.call(call, (actor) => actor.run(command)), label);
}

/** Runs a command that must succeed and gives its result. */
function* succeed(self: GuestHandle, call: string, command: ParsedCommand): Op<RunResult> {
  const run = yield* runCommand(self, call, command);
  if (!run.succeeded) throw commandFailure(call, run.label, run.result);
  return run;
}

/** The kernel log, by the guest's own dmesg and, with a pattern, its grep. */
function* kernelLog(self: GuestHandle, pattern: Uint8Array | undefined): Op<Uint8Array> {
  if (pattern === undefined)
    return (yield* succeed(self, "dmesg", shellScript("dmesg", "dmesg", []))).result.stdout;
  const run = yield* runCommand(self, "dmesg", shellScript('dmesg | grep -e "$1"', "dmesg", [pattern]));
  // grep exits with 1 when no line matches, but also when dmesg had nothing to say because it failed.
  const nothing = run.exitCode === 1 && run.result.stderr.byteLength === 0;
  if (!run.succeeded && !nothing) throw commandFailure("dmesg", run.label, run.result);
  return run.result.stdout;
}

export const execTable = (self: GuestHandle, run: RunResult): LuaTable => self.api.execTable(execFields(run));

export const COMMAND_METHODS: GuestMethods = {
  run: guestMethod(
    "(cmd: string|string[], args_or_opts?: string[]|RunOptions): RunResult",
    'Runs a command and waits for it. `run("a | b")` goes through the shell, also with options; `run("prog", {"x", "y"})`, `run("prog", {args = {...}, ...})` and `run({"prog", "x"})` start the program itself. Options: `args`, `env`, `env_clear`, `cwd`, `stdin`, `timeout` (0: none), `timeout_ms`. A command that outlives its timeout is killed.',
    function* (self, args) {
      return yield* runCommand(self, "run", parseRun(args, "run"));
    },
  ),
  exec: guestMethod(
    "(cmd: string, opts?: RunOptions): {ok: boolean, exit_code: integer, stdout: string, stderr: string}",
    "Runs a shell command. The exit code of a command ended by a signal is 128 plus the signal, as in a shell.",
    function* (self, args) {
      const command = shellCommand(args.bytes(1, "cmd"), "exec", args.optTable(2, "exec: opts"));
      return execTable(self, yield* runCommand(self, "exec", command));
    },
  ),
  json: guestMethod(
    "(cmd: string): any",
    "Runs a shell command and decodes its output as `json.decode` does. Raises when it fails.",
    function* (self, args) {
      const run = yield* succeed(self, "json", shellCommand(args.bytes(1, "cmd"), "json"));
      return decode(run.result.stdout, `json: output of \`${run.label}\``);
    },
  ),
  dmesg: guestMethod(
    "(pattern?: string): string",
    "The kernel log; with a pattern the lines that the guest's grep finds in it.",
    function* (self, args) {
      return yield* kernelLog(self, args.optBytes(1, "pattern"));
    },
  ),
  mount_vfs: guestMethod(
    "()",
    "Mounts proc, sysfs, securityfs and devtmpfs where they are missing. Repeatable.",
    function* (self) {
      yield* self.call("mount_vfs", (actor) => actor.mountVfs());
    },
  ),
  wait_until: guestMethod(
    "(predicate: function, opts?: {timeout?, interval?, desc?}): any",
    "Calls the predicate until it returns something true, and returns that. Defaults: 10 s, every 0.5 s.",
    function* (_self, args) {
      return yield* waitUntil(parseWait(args, POLL_MS));
    },
  ),
};
