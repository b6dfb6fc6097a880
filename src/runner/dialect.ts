/**
 * Which of the two APIs a test file was written for. Settled from its text before it runs, because the dialect
 * decides when test bodies run. First match wins: a marker comment, the words that only one API has, the file's
 * name.
 */

import { type Token, tokens } from "../source/tokens.ts";

export type Dialect = "classic" | "lab";

/** Lines in which a marker counts. */
const MARKER_LINES = 20;
const MARKER = /^\s*--!provium\s+(classic|lab)\s*$/;

const LAB_FIELDS = new Set(["vm_fixture", "lab_fixture", "timeout", "reset_between_tests"]);
const CLASSIC_FIELDS = new Set(["create", "fixture", "shutdown_all"]);
const CLASSIC_CALLS = new Set(["assert_eq", "assert_contains"]);

const OPENING = new Set(["(", "{", "[", "function", "do", "then", "repeat"]);
const CLOSING = new Set([")", "}", "]", "end", "until", "elseif", "else"]);

/** The token after the first comma of an argument list that starts at `at` (behind the parenthesis). */
const secondArgument = (list: readonly Token[], at: number): number | undefined => {
  let depth = 0;
  for (let i = at; i < list.length; i++) {
    const { kind, text } = list[i] as Token;
    if (kind !== "word" && kind !== "symbol") continue;
    if (depth === 0 && text === ",") return i + 1;
    if (depth === 0 && text === ")") return undefined;
    if (text === "else" || text === "elseif") continue;
    if (OPENING.has(text) && text !== "then") depth++;
    else if (text === "if") depth++;
    else if (CLOSING.has(text)) depth--;
  }
  return undefined;
};

/** What the words of a file say: lab, classic, both, or neither. */
const wordsOf = (list: readonly Token[]): ReadonlySet<Dialect> => {
  const found = new Set<Dialect>();
  const is = (i: number, text: string): boolean => {
    const token = list[i];
    return token !== undefined && token.text === text && token.kind !== "string";
  };
  list.forEach((token, i) => {
    if (token.kind !== "word") return;
    const isField = is(i - 1, ".") || is(i - 1, ":");
    if (isField || is(i - 1, "function")) return;
    const next = list[i + 1];
    const called = next !== undefined && (next.text === "(" || next.text === "{" || next.kind === "string");
    if (token.text === "provium" && next !== undefined) {
      const name = list[i + 2]?.kind === "word" ? (list[i + 2] as Token).text : "";
      if (next.text === ":" && name !== "" && !CLASSIC_FIELDS.has(name)) found.add("lab");
      if (next.text === "." && LAB_FIELDS.has(name)) found.add("lab");
      if ((next.text === "." || next.text === ":") && CLASSIC_FIELDS.has(name)) found.add("classic");
    } else if (CLASSIC_CALLS.has(token.text) && called) found.add("classic");
    else if (token.text === "test" && is(i + 1, "(")) {
      const second = secondArgument(list, i + 2);
      if (second === undefined) return;
      if (is(second, "{")) found.add("lab");
      if (is(second, "function") && is(second + 1, "(") && list[second + 2]?.kind === "word")
        found.add("lab");
    }
  });
  return found;
};

/** The dialect of a test file; `name` is its path or file name. */
export const dialectOf = (source: string, name: string): Dialect => {
  for (const line of source.split("\n", MARKER_LINES)) {
    const marker = MARKER.exec(line.trimEnd());
    if (marker !== null) return marker[1] as Dialect;
  }
  const [only, ...others] = wordsOf(tokens(source));
  if (only !== undefined && others.length === 0) return only;
  return /\.(test|fixture)\.lua$/.test(name) ? "lab" : "classic";
};
