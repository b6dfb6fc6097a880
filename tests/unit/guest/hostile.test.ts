import { expect, test } from "bun:test";
import { PROPERTIES } from "../../fuzz/frames.ts";

for (const { name, check } of PROPERTIES) {
  test(`${name}, over generated input`, () => {
    expect(check(20260101, 200).report).toBeUndefined();
  }, 60_000);
}
