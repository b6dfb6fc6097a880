/**
 * What a person at a terminal and a runner say to each other on an errand: at a prompt, or around a command that
 * runs in a machine of its own. The words travel over the socket of dispatcher and runner (`protocol.ts`).
 */

/** What a runner is started for when it is no test file. */
export type Errand =
  /** A Lua prompt. The machine `vm` is booted first, from a profile or from the snapshot of a fixture. */
  | {
      readonly kind: "prompt";
      readonly vm: string;
      readonly profile: string;
      readonly fixture?: string | undefined;
    }
  /** One command in a fresh machine, with its input and outputs connected. */
  | { readonly kind: "command"; readonly profile: string; readonly argv: readonly string[] };

/** From the person to the runner. */
export type Word =
  /** A piece of Lua: a line, or several when the first ones were not complete. */
  | { readonly say: "lua"; readonly text: string }
  /** How may this line go on? */
  | { readonly say: "complete"; readonly text: string }
  /** Bytes for standard input; none: its end. The next piece may come after the answer `taken`. */
  | { readonly say: "input"; readonly data: Uint8Array }
  /** End what runs now, not the errand. */
  | { readonly say: "interrupt" }
  /** There is nothing more to say. */
  | { readonly say: "bye" };

/** From the runner to the person. */
export type Reply =
  /** The machine is up, the prompt may open. */
  | { readonly tell: "ready"; readonly vm: string }
  | { readonly tell: "output"; readonly to: "out" | "err"; readonly data: Uint8Array }
  /** The piece of Lua is done. */
  | { readonly tell: "done"; readonly failed: boolean }
  /** It is not complete yet. */
  | { readonly tell: "more" }
  | { readonly tell: "words"; readonly words: readonly string[]; readonly typed: string }
  | { readonly tell: "taken" }
  /** How the command ended, as a shell would say it. */
  | { readonly tell: "status"; readonly status: number };

/** The runner's side. */
export interface Talk {
  /** Words that have not been looked at, oldest first. */
  readonly words: Word[];
  tell(reply: Reply): void;
}
