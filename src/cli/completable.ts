/** What completions are made from. */

import type { Command } from "./commands.ts";
import type { Flags } from "./flags.ts";

/** One command as completions see it; the name of a run is "". */
export interface Completable {
  readonly name: string;
  readonly about: string;
  readonly takes: Command["takes"];
  readonly flags: Flags;
}
