/** `provium exec [PROFILE] -- CMD…`: one command in a throw-away machine; its exit status is ours. */

import { loadConfig } from "../config/load.ts";
import { UsageError } from "../errors/errors.ts";
import type { EventStream } from "../events/stream.ts";
import type { Reply, Word } from "../runner/talk.ts";
import { readArguments } from "./arguments.ts";
import { ByteOutlet, ByteSource } from "./bytes.ts";
import { MACHINE_FLAGS, type Person, runErrand } from "./errand.ts";
import { COMMON_FLAGS, CONFIG_FLAGS } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { runOptions } from "./options.ts";

export const FLAGS = { ...MACHINE_FLAGS, ...CONFIG_FLAGS, help: COMMON_FLAGS.help };

/** Provium itself has failed, as env(1) and timeout(1) say it; 0 to 124 are the command's own. */
const EXIT_NOT_RUN = 125;
/** As a shell tells a writer whose reader has left (128 + SIGPIPE). */
const EXIT_NO_READER = 141;

const ABOUT = `Boots the profile (default: "default"), runs the command there and ends the machine. Standard input and both
outputs are connected. One word is a shell command, several are a program and its arguments:

  provium exec -- 'dmesg | tail -3'
  provium exec mykernel -- uname -a

The exit status is the command's, 128 + N for signal N, 127 when the guest has no such program, 125 when the
machine could not be had.
`;

/** Pipes, or a terminal in its usual mode. */
class Pipes implements Person {
  status: number | undefined;
  readerLeft = false;
  private answer: ((word: Word) => void) | undefined;
  private outlets: { readonly out: ByteOutlet; readonly err: ByteOutlet } | undefined;
  private readonly source = new ByteSource((data) => this.answer?.({ say: "input", data }));

  meet(stream: EventStream): void {
    const left = (): void => {
      this.readerLeft = true;
      this.answer?.({ say: "interrupt" });
    };
    this.outlets = {
      out: new ByteOutlet(process.stdout, stream, left),
      err: new ByteOutlet(process.stderr, stream, () => {}),
    };
  }

  hear(reply: Reply, answer: (word: Word) => void): void {
    this.answer = answer;
    if (reply.tell === "output") this.outlets?.[reply.to].write(reply.data);
    else if (reply.tell === "ready" || reply.tell === "taken") void this.source.next();
    else if (reply.tell === "status") this.status = reply.status;
  }

  output(): void {}

  leave(): void {
    this.source.close();
  }
}

export const exec = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    process.stdout.write(
      renderHelp({ usage: ["provium exec [PROFILE] [FLAGS] -- COMMAND…"], about: ABOUT, flags: FLAGS }),
    );
    return 0;
  }
  const [profile = "default", ...surplus] = args.positionals;
  if (surplus.length > 0)
    throw new UsageError(`exec: \`${surplus[0]}\` stands before the --`, {
      hint: "provium exec [PROFILE] -- COMMAND…",
    });
  if (args.rest.length === 0)
    throw new UsageError("exec: no command", {
      hint: `provium exec ${profile} -- uname -a`,
    });
  const config = loadConfig(args.text("config"), process.cwd());
  const options = { ...runOptions(args, "lab", process.cwd(), process.env, config), paths: [] };
  const pipes = new Pipes();
  const end = await runErrand(
    options,
    process.env,
    { kind: "command", profile, argv: args.rest },
    pipes,
    args,
  );
  if (end.interrupted) return end.status;
  if (pipes.readerLeft) return EXIT_NO_READER;
  return end.done && pipes.status !== undefined ? pipes.status : EXIT_NOT_RUN;
};
