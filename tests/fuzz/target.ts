/** What a fuzz target in TypeScript is: a function that any bytes go into, and where mutations start from. */

export interface Target {
  readonly name: string;
  /** The file that it stands in: that and what it imports is what is tested. */
  readonly source: string;
  /** Good inputs, and inputs that once were findings. */
  readonly seeds: readonly (string | Uint8Array)[];
  /** Words of the input's language, which random bytes would never hit. */
  readonly words: readonly (string | Uint8Array)[];
  /** Takes an input. Whatever it throws is a finding: it catches what the code under test may throw. */
  run(input: Uint8Array): void;
}

export const bytesOf = (value: string | Uint8Array): Uint8Array =>
  typeof value === "string" ? new TextEncoder().encode(value) : value;

/** Throws unless the condition holds: a rule of the code under test has been broken. */
export const must: (condition: boolean, rule: string) => asserts condition = (condition, rule) => {
  if (!condition) throw new Error(`rule broken: ${rule}`);
};

const LONG = 100_000;

/** A character before × stands so many times that anything which takes the square of that never ends. */
export const stretched = (text: string): string => {
  let room = 3;
  return text.replace(/(.)×/gs, (both, char: string) => (room-- > 0 ? char.repeat(LONG) : both));
};
