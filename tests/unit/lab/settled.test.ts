import { expect, test } from "bun:test";
import type { Machine } from "../../../src/lab/ports.ts";
import { settled } from "../../../src/lab/settled.ts";
import { run } from "./fakes.ts";

/** How often a machine is looked at that has used so much each time; the last figure stays. */
const looks = (...used: (number | undefined)[]): number => {
  let count = 0;
  const cpuMs = (): number | undefined => used[Math.min(count++, used.length - 1)];
  run(settled({ cpuMs } as Machine));
  return count;
};

test("a guest has come to rest when it has used next to nothing for two looks in a row", () => {
  expect(looks(100, 110, 110)).toBe(3);
  expect(looks(100, 150, 160, 180, 180, 190)).toBe(6);
});

test("a guest that is always busy, or of which nobody can tell, is not waited for", () => {
  const busy = Array.from({ length: 1000 }, (_, i) => i * 40);
  expect(looks(...busy)).toBeLessThan(50);
  expect(looks(undefined)).toBe(1);
  run(settled({} as Machine));
});
