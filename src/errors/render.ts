/** The one place that turns an error into text for people: what, where, why, and what to do now. */

import { ProviumError } from "./errors.ts";
import { shortageOf } from "./shortage.ts";

const indented = (text: string, by = "  "): string => text.replaceAll("\n", `\n${by}`);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Every cause below an error that says something new. */
const causes = (error: unknown): string[] => {
  const said: string[] = [messageOf(error)];
  for (
    let cause = (error as Error).cause;
    cause !== undefined && cause !== null;
    cause = (cause as Error).cause
  ) {
    const text = messageOf(cause);
    if (text !== "" && !said.some((earlier) => earlier.includes(text))) said.push(text);
    if (!(cause instanceof Error)) break;
  }
  return said.slice(1);
};

/** True for an expected failure; false for a bug of ours. */
export const isExpected = (error: unknown): error is ProviumError => error instanceof ProviumError;

/** The expected failure that an error is or stands for; undefined: a bug of ours. */
const expectedOf = (error: unknown): ProviumError | undefined =>
  isExpected(error) ? error : shortageOf(error);

/** Nothing that could be expected, anywhere. */
export const isBug = (error: unknown): boolean => expectedOf(error) === undefined;

/**
 * Several lines without a final line break:
 *
 *     unknown profile `web` (known: default)
 *       at: provium.toml:3
 *       because: …
 *       try: …
 *
 * A bug of ours says so and shows its stack.
 */
export const renderError = (error: unknown): string => {
  const expected = expectedOf(error);
  if (expected === undefined) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `this is a bug in provium: ${indented(stack)}`;
  }
  const lines = [expected.message];
  if (expected.where !== undefined) lines.push(`  at: ${indented(expected.where, "      ")}`);
  for (const cause of causes(expected)) lines.push(`  because: ${indented(cause, "    ")}`);
  if (expected.hint !== undefined) lines.push(`  try: ${indented(expected.hint, "       ")}`);
  return lines.join("\n");
};
