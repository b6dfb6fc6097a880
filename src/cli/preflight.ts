/** `--preflight strict`, and `provium preflight`: no run where anything has to be replaced by something slower. */

import { HostError, UsageError } from "../errors/errors.ts";
import { readArguments } from "./arguments.ts";
import { examine } from "./doctor.ts";
import { EXIT_PASSED } from "./exit.ts";
import { COMMON_FLAGS } from "./flags.ts";
import { renderHelp } from "./help.ts";

/** Throws `HostError` that names everything missing, with its remedy. */
export const strictPreflight = (): void => {
  const faults = examine().filter(({ health }) => health === "replaced" || health === "missing");
  if (faults.length === 0) return;
  const lines = faults.map(
    ({ what, found, remedy }) => `  ${what}: ${found}${remedy === undefined ? "" : ` (${remedy})`}`,
  );
  throw new HostError(`this host does not offer everything:\n${lines.join("\n")}`, {
    hint: "a run replaces what it can, unless --preflight strict forbids it",
  });
};

export const FLAGS = { help: COMMON_FLAGS.help } as const;

/** The check alone: exit status 0 where a run with `--preflight strict` would start. Throws what would keep it from that. */
export const preflight = (raw: readonly string[]): number => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    const about = "Whether this host offers everything, so that a run with --preflight strict starts here.";
    process.stdout.write(renderHelp({ usage: ["provium preflight"], about, flags: FLAGS }));
    return EXIT_PASSED;
  }
  if (args.words.length > 0)
    throw new UsageError(`preflight looks at the whole host; \`${args.words[0]}\` is one word too many`);
  strictPreflight();
  process.stdout.write("this host offers everything\n");
  return EXIT_PASSED;
};
