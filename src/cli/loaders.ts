/** The code of each command; it is not read before it is needed. */

import type { CommandName } from "./commands.ts";
import type { Flags } from "./flags.ts";

export interface LoadedCommand {
  readonly flags: Flags;
  /** The exit status. */
  readonly main: (raw: readonly string[]) => number | Promise<number>;
}

/** `completions` is not among them: it looks at all of these. */
export const LOADERS: Readonly<Record<Exclude<CommandName, "completions">, () => Promise<LoadedCommand>>> = {
  demo: async () => {
    const { demo, FLAGS } = await import("./demo.ts");
    return { main: demo, flags: FLAGS };
  },
  init: async () => {
    const { init, FLAGS } = await import("./init.ts");
    return { main: init, flags: FLAGS };
  },
  list: async () => {
    const { list, FLAGS } = await import("./list.ts");
    return { main: list, flags: FLAGS };
  },
  repl: async () => {
    const { repl, FLAGS } = await import("./repl.ts");
    return { main: repl, flags: FLAGS };
  },
  exec: async () => {
    const { exec, FLAGS } = await import("./exec.ts");
    return { main: exec, flags: FLAGS };
  },
  console: async () => {
    const { consoleCommand, FLAGS } = await import("./console.ts");
    return { main: consoleCommand, flags: FLAGS };
  },
  prepare: async () => {
    const { prepare, FLAGS } = await import("./prepare.ts");
    return { main: prepare, flags: FLAGS };
  },
  fixture: async () => {
    const { fixture, FLAGS } = await import("./fixture.ts");
    return { main: fixture, flags: FLAGS };
  },
  merge: async () => {
    const { merge, FLAGS } = await import("./merge.ts");
    return { main: merge, flags: FLAGS };
  },
  coverage: async () => {
    const { coverage, FLAGS } = await import("./coverage.ts");
    return { main: coverage, flags: FLAGS };
  },
  doctor: async () => {
    const { doctor, FLAGS } = await import("./doctor.ts");
    return { main: doctor, flags: FLAGS };
  },
  preflight: async () => {
    const { preflight, FLAGS } = await import("./preflight.ts");
    return { main: preflight, flags: FLAGS };
  },
  "lsp-setup": async () => {
    const { lspSetup, FLAGS } = await import("./lsp-setup.ts");
    return { main: lspSetup, flags: FLAGS };
  },
};
