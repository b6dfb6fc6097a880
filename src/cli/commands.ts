/** The commands, described once: routing, the help page and completions read this table. */

export interface Command {
  /** What stands behind the name in the help. */
  readonly words: string;
  readonly about: string;
  /** What its words are, for completion; a list: one of these. */
  readonly takes: "paths" | "directory" | "profile" | "nothing" | readonly string[];
}

export const COMMANDS = {
  demo: { words: "", about: "a tour: small tests, one feature each", takes: "nothing" },
  init: { words: "[DIR]", about: "a project that passes, to start from", takes: "directory" },
  list: { words: "[PATHS]", about: "the files that would run; fixtures, profiles", takes: "paths" },
  repl: { words: "PROFILE", about: "a machine and a Lua prompt", takes: "profile" },
  exec: { words: "[PROFILE] -- CMD", about: "one command in a throw-away machine", takes: "profile" },
  console: { words: "PROFILE", about: "a machine on this terminal", takes: "profile" },
  prepare: { words: "[PROFILES]", about: "runs the build commands of profiles", takes: "profile" },
  fixture: {
    words: "ACTION",
    about: "the cache of fixtures",
    takes: ["list", "build", "rebuild", "clean", "stale"],
  },
  merge: { words: "FILES", about: "the recordings of several shards as one report", takes: "paths" },
  coverage: { words: "--from FILE", about: "which sections of a document the tests cover", takes: "nothing" },
  doctor: { words: "", about: "what this host offers, and what to do about the rest", takes: "nothing" },
  preflight: { words: "", about: "whether --preflight strict lets a run start here", takes: "nothing" },
  "lsp-setup": { words: "[DIR]", about: "definitions for editors", takes: "directory" },
  completions: { words: "SHELL", about: "completions for bash, zsh or fish", takes: ["bash", "zsh", "fish"] },
} as const satisfies Readonly<Record<string, Command>>;

export type CommandName = keyof typeof COMMANDS;
