/** One thing that `provium doctor` has looked at. */

/** `plain`: worth knowing, and nothing is slower for it. */
type Health = "good" | "plain" | "replaced" | "missing";

export interface Finding {
  readonly what: string;
  readonly health: Health;
  readonly found: string;
  readonly remedy?: string;
}
