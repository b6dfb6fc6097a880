/**
 * The patched fengari against the reference implementation (`lua5.4`): pseudo-random cases, equal output.
 * PROVIUM_FUZZ_CASES sets how many (a million takes some minutes); PROVIUM_FUZZ_BLOCK where to begin.
 */

import { expect, test } from "bun:test";
import { dirname, join, resolve } from "node:path";

const reference = Bun.which("lua5.4");
const fengari = dirname(dirname(Bun.resolveSync("fengari", import.meta.dir)));
const cases = join(import.meta.dir, "cases.lua");
const runner = resolve(import.meta.dir, "run-lua.ts");
const CASES_A_BLOCK = 1000;

const blocks = Math.max(1, Math.ceil(Number(process.env.PROVIUM_FUZZ_CASES ?? 8000) / CASES_A_BLOCK));
const first = Number(process.env.PROVIUM_FUZZ_BLOCK ?? 1);

const output = async (command: readonly string[]): Promise<string[]> => {
  const child = Bun.spawn([...command], { stdout: "pipe", stderr: "inherit" });
  const text = new TextDecoder("latin1").decode(await new Response(child.stdout).arrayBuffer());
  expect(await child.exited).toBe(0);
  return text.split("\n");
};

const both = (...what: number[]): Promise<[string[], string[]]> => {
  const rest = [cases, ...what.map(String)];
  return Promise.all([
    output([reference ?? "lua5.4", ...rest]),
    output([process.execPath, runner, fengari, ...rest]),
  ]);
};

if (reference === null)
  console.warn("lua5.4 is not installed: no comparison with the reference implementation");

test.skipIf(reference === null)(
  `${blocks * CASES_A_BLOCK} pseudo-random cases give what lua5.4 gives`,
  async () => {
    const [expected, actual] = await both(first, blocks);
    const different = expected.findIndex((line, i) => line !== actual[i]);
    if (different >= 0) {
      // The cases of the first block that differs, for the report.
      const [theirs, ours] = await both(first + different);
      const at = theirs.findIndex((line, i) => line !== ours[i]);
      expect({ block: first + different, case: ours[at] }).toEqual({
        block: first + different,
        case: theirs[at],
      });
    }
    expect(actual).toEqual(expected);
  },
  3_600_000,
);
