/** Which kernels the table of docs/compatibility.md has: of each flavour the newest and the oldest that apt offers. Pure. */

/** By the end of the package's name. */
export const FLAVOURS = ["cloud", "generic", "rt"] as const;
export type Flavour = (typeof FLAVOURS)[number];

const ENDS: Readonly<Record<Flavour, RegExp>> = {
  cloud: /^linux-image-([\d.]+-\d+)-cloud-amd64$/,
  generic: /^linux-image-([\d.]+-\d+)-amd64$/,
  rt: /^linux-image-([\d.]+-\d+)-rt-amd64$/,
};

const numbers = (version: string): number[] => version.split(/[.-]/).map(Number);
const compare = (a: string, b: string): number => {
  const [left, right] = [numbers(a), numbers(b)];
  const place = left.findIndex((part, i) => part !== right[i]);
  return place < 0 ? 0 : (left[place] as number) - (right[place] ?? -1);
};

/** Package names, the newest first; one when there is only one. */
export const newestAndOldest = (offered: readonly string[], flavour: Flavour): string[] => {
  const found = offered
    .flatMap((name) => {
      const version = ENDS[flavour].exec(name)?.[1];
      return version === undefined ? [] : [{ name, version }];
    })
    .sort((a, b) => compare(b.version, a.version))
    .map(({ name }) => name);
  return [...new Set([found[0], found.at(-1)])].filter((name) => name !== undefined);
};
