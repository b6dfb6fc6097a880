/** What every reporter is made from. A reporter consumes events and writes text; it begins anew at `stream_started`. */

import type { Consumer } from "../events/stream.ts";
import type { Palette } from "./colours.ts";

/** Takes whole lines with their line break. */
export type Write = (text: string) => void;

export interface ReporterOptions {
  /** `verbose` lists every test, `quiet` prints failing files and the summary only. */
  readonly detail: "normal" | "verbose" | "quiet";
  readonly colour: Palette;
  readonly write: Write;
  /** The same for notices, which are no results. */
  readonly writeNotice: Write;
}

export type Reporter = (options: ReporterOptions) => Consumer;
