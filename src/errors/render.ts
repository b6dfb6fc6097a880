/** The one place that turns an error into text for people: what, where, why, and what to do now. */

import { ProviumError } from "./errors.ts";

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
  if (!isExpected(error)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `this is a bug in provium: ${indented(stack)}`;
  }
  const lines = [error.message];
  if (error.where !== undefined) lines.push(`  at: ${indented(error.where, "      ")}`);
  for (const cause of causes(error)) lines.push(`  because: ${indented(cause, "    ")}`);
  if (error.hint !== undefined) lines.push(`  try: ${indented(error.hint, "       ")}`);
  return lines.join("\n");
};
