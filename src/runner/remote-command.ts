/** One command in a guest, with its input and outputs connected to a terminal or to pipes on the host. */

import { GuestError } from "../errors/errors.ts";
import type { CommandResult, GuestProcess, OutputStream } from "../lab/ports.ts";
import type { Vm } from "../lab/vm.ts";
import { all, NEVER, type Op, until } from "../sys/op.ts";
import type { Talk } from "./talk.ts";

const PIECE_BYTES = 64 * 1024;
const ENOENT = 2;
const EPIPE = 32;
/** As shells say it. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
const SIGNALLED = 128;

const encoder = new TextEncoder();

/** Until the stream ends, or the command is over: what it has left in the background may hold its outputs for ever. */
function* pass(stream: OutputStream, to: "out" | "err", talk: Talk, over: () => boolean): Op<void> {
  for (;;) {
    yield* until(() => stream.pending > 0 || stream.ended || over());
    const data = stream.take(PIECE_BYTES);
    if (data !== undefined) talk.tell({ tell: "output", to, data });
    else if (stream.ended || over()) return;
  }
}

/** Hands input on until it ends or nobody wants it any more. */
function* feed(process: GuestProcess, talk: Talk): Op<void> {
  for (;;) {
    yield* until(() => talk.words.length > 0 || process.exit !== undefined);
    const word = talk.words.shift();
    if (process.exit !== undefined) return;
    if (word?.say !== "input") continue;
    try {
      if (word.data.byteLength === 0) {
        yield* process.stdinClose();
        return;
      }
      yield* process.stdinWrite(word.data);
    } catch (error) {
      // A command that does not read all of its input is none the worse for it.
      if (!(error instanceof GuestError && error.errno === EPIPE) && process.exit === undefined) throw error;
    }
    talk.tell({ tell: "taken" });
  }
}

const statusOf = ({ how, code }: CommandResult): number => (how === "exited" ? code : SIGNALLED + code);

/** Runs it to its end; the exit status as a shell would say it. */
export function* runCommand(vm: Vm, argv: readonly string[], talk: Talk): Op<number> {
  const words = argv.length === 1 ? ["/bin/sh", "-c", argv[0] as string] : argv;
  let process: GuestProcess;
  try {
    process = yield* vm.call("exec", (guest) =>
      guest.main.start({
        argv: words.map((word) => encoder.encode(word)),
        env: [],
        envClear: false,
        stdinOpen: true,
        timeoutMs: 0,
      }),
    );
  } catch (error) {
    if (!(error instanceof GuestError) || error.errno === 0) throw error;
    talk.tell({ tell: "output", to: "err", data: encoder.encode(`provium exec: ${error.message}\n`) });
    return error.errno === ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
  }
  talk.tell({ tell: "ready", vm: vm.name });
  let result: CommandResult | undefined;
  const over = (): boolean => result !== undefined;
  yield* vm.call("exec", () =>
    all<void>([
      (function* (): Op<void> {
        result = yield* process.wait(NEVER);
      })(),
      pass(process.stream(1), "out", talk, over),
      pass(process.stream(2), "err", talk, over),
      feed(process, talk),
    ]),
  );
  return statusOf(result as unknown as CommandResult);
}
