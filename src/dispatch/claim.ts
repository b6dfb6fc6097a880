/**
 * What a file claims, read from its text before it runs: the first `:claim{ memory = "2G", cpus = 2 }` whose
 * values are literals. Any other claim is reserved when the call runs.
 */

import { parseSize } from "../config/units.ts";
import type { ResourceAmount } from "../events/types.ts";
import { type Token, tokens } from "../source/tokens.ts";

/** The value of a literal and the index behind it; undefined: it is none, or an expression goes on. */
const literal = (list: readonly Token[], at: number): { value: number; next: number } | undefined => {
  const token = list[at];
  const behind = list[at + 1]?.text;
  if (token === undefined || (behind !== "," && behind !== ";" && behind !== "}")) return undefined;
  if (token.kind !== "number" && token.kind !== "string") return undefined;
  const value = parseSize(token.kind === "number" ? Number(token.text) : token.text);
  return value === undefined ? undefined : { value, next: at + 1 };
};

/** The table that opens at `at` (behind the brace). */
const claimAt = (list: readonly Token[], start: number): ResourceAmount | undefined => {
  const amount = { memory: 0, cpus: 0 };
  let at = start;
  while (list[at] !== undefined && list[at]?.text !== "}") {
    const key = list[at]?.text;
    if ((key !== "memory" && key !== "cpus") || list[at + 1]?.text !== "=") return undefined;
    const found = literal(list, at + 2);
    if (found === undefined) return undefined;
    amount[key] = found.value;
    at = list[found.next]?.text === "}" ? found.next : found.next + 1;
  }
  return list[at] === undefined ? undefined : { memory_bytes: amount.memory, cpus: amount.cpus };
};

/** The claim that `source` declares, if it does so by literals. */
export const declaredClaim = (source: string): ResourceAmount | undefined => {
  if (!source.includes("claim")) return undefined;
  const list = tokens(source);
  const call = list.findIndex(
    ({ kind, text }, i) => kind === "word" && text === "claim" && list[i - 1]?.text === ":",
  );
  if (call < 0) return undefined;
  const open = list[call + 1]?.text === "(" ? call + 2 : call + 1;
  return list[open]?.text === "{" ? claimAt(list, open + 1) : undefined;
};
