/** Errands: a round of one runner without tests, with a person instead of reporters. */

import type { EventStream } from "../events/stream.ts";
import { visible } from "../report/text.ts";
import type { Errand, Reply, Word } from "../runner/talk.ts";
import type { Arguments } from "./arguments.ts";
import { complain } from "./complain.ts";
import { type Flags, RUN_FLAGS } from "./flags.ts";
import type { Given } from "./given.ts";
import type { RunOptions } from "./options.ts";
import { Reporting } from "./reporting.ts";
import { runRound } from "./round.ts";

/** The flags that make sense around a single machine. */
export const MACHINE_FLAGS = {
  vmm: RUN_FLAGS.vmm,
  accel: RUN_FLAGS.accel,
  transport: RUN_FLAGS.transport,
  network: RUN_FLAGS.network,
  "run-as": RUN_FLAGS["run-as"],
  mem: RUN_FLAGS.mem,
  cpus: RUN_FLAGS.cpus,
  keep: RUN_FLAGS.keep,
  "no-build": RUN_FLAGS["no-build"],
  verbose: { ...RUN_FLAGS.verbose, description: "what is replaced on this host, and when the machine is up" },
} as const satisfies Flags;

/** The person behind an errand, or what stands in: pipes. */
export interface Person {
  /** The round has begun: where backlog is told. */
  meet(stream: EventStream): void;
  hear(reply: Reply, answer: (word: Word) => void): void;
  /** What tests would print. */
  output(text: string): void;
  /** Nothing more is asked of it. */
  leave(): void;
}

export interface ErrandEnd {
  /** The errand itself came to its end; what kept it from that has been said. */
  readonly done: boolean;
  /** Of the round. */
  readonly status: number;
  readonly interrupted: boolean;
}

/** Runs an errand; complaints go to standard error. Throws what keeps a round from being made. */
export const runErrand = async (
  options: RunOptions,
  environment: NodeJS.ProcessEnv,
  errand: Errand,
  person: Person,
  args: Arguments,
): Promise<ErrandEnd> => {
  const name = errand.kind === "prompt" ? "repl" : "exec";
  const silent = { ...options.output, reporters: [], eventsStdout: false };
  const reporting = await Reporting.open(silent, environment);
  let done = false;
  reporting.stream.subscribe(({ kind, payload }) => {
    if (kind === "notice" && (payload.level === "warning" || args.has("verbose")))
      reporting.complain(payload.text);
    else if (kind === "vm_spawned" && args.has("verbose")) reporting.complain(`booting ${payload.vm_name}`);
    else if (kind === "output") person.output(payload.text);
    else if (kind === "file_completed") {
      done = payload.status === "passed";
      if (payload.error !== undefined) process.stderr.write(`provium ${name}: ${visible(payload.error)}\n`);
    }
  });
  person.meet(reporting.stream);
  const given: Given = {
    files: [{ file: `${options.directory}/${name}`, path: name, dialect: "lab" }],
    roots: options.config.roots.length > 0 ? options.config.roots : [options.directory],
    project: options.config.project,
  };
  try {
    const hear = (reply: Reply, answer: (word: Word) => void): void => person.hear(reply, answer);
    const visit = { errand, hear };
    const round = await runRound({ ...options, timeoutMs: 0, visit }, environment, () => given, reporting);
    return { done, ...round };
  } catch (error) {
    complain(error, `provium ${name}`);
    return { done: false, status: 2, interrupted: false };
  } finally {
    person.leave();
    await reporting.close();
  }
};
