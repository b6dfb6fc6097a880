/** `NAME` or `NAME=FILE`: a reporter, as `--reporter` and `[provium].reporters` name it. */

import { suggestion } from "../errors/suggest.ts";

export const REPORTERS = ["plain", "json", "junit", "tap", "github", "html"] as const;
export type ReporterName = (typeof REPORTERS)[number];

export interface ReporterWish {
  readonly name: ReporterName;
  /** As written; undefined for standard output. */
  readonly file: string | undefined;
}

const isReporter = (name: string): name is ReporterName => REPORTERS.includes(name as ReporterName);

/** What `text` asks for, or what is wrong with it. */
export const readReporter = (text: string): ReporterWish | string => {
  const at = text.indexOf("=");
  const name = at < 0 ? text : text.slice(0, at);
  const file = at < 0 ? undefined : text.slice(at + 1);
  if (!isReporter(name)) return `there is no reporter \`${name}\` (${suggestion(name, REPORTERS)})`;
  return file === "" ? `\`${text}\` names no file behind the =` : { name, file };
};
