import { expect, test } from "bun:test";
import { ownRuns } from "../../../src/vmm/guest-memory.ts";

const PRESENT = 0x80000000;
const SWAPPED = 0x40000000;
const OF_A_FILE = 0x20000000;

const runs = (...upper: number[]) => ownRuns(Uint32Array.from(upper.flatMap((word) => [0xffffffff, word])));

test("pages in memory or swapped out are the process' own, those of a file are not", () => {
  expect(runs()).toEqual([]);
  expect(runs(0, 0)).toEqual([]);
  expect(runs(PRESENT, PRESENT, 0, SWAPPED)).toEqual([
    { start: 0, end: 8192 },
    { start: 12288, end: 16384 },
  ]);
  expect(runs((PRESENT | OF_A_FILE) >>> 0, PRESENT, OF_A_FILE)).toEqual([{ start: 4096, end: 8192 }]);
});
