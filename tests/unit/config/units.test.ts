import { describe, expect, test } from "bun:test";
import { formatSize, parseDuration, parseSize } from "../../../src/config/units.ts";

describe("units", () => {
  test("durations are seconds or texts with a unit", () => {
    expect(["500ms", "5s", "2m", "1h", "1.5", 3, 0, ".5s"].map(parseDuration)).toEqual([
      500, 5000, 120_000, 3_600_000, 1500, 3000, 0, 500,
    ]);
  });

  test("what is no duration is refused", () => {
    for (const bad of [
      "",
      "5x",
      "-1",
      "1 2",
      "ms",
      "five",
      Number.NaN,
      Number.POSITIVE_INFINITY,
      -1,
      true,
      null,
    ])
      expect(parseDuration(bad)).toBeUndefined();
  });

  test("sizes take K, M, G and T in any case, with or without iB", () => {
    expect(["1", "1K", "2m", "1GiB", "1.5G", 42, "1TB"].map(parseSize)).toEqual([
      1,
      1024,
      2 ** 21,
      2 ** 30,
      1.5 * 2 ** 30,
      42,
      2 ** 40,
    ]);
  });

  test("what is no size is refused", () => {
    for (const bad of ["", "1P", "-1", "M", "1 M M", -1, Number.NaN, 1e300, {}])
      expect(parseSize(bad)).toBeUndefined();
  });

  test("sizes print in the largest unit that keeps them readable", () => {
    expect([512 * 2 ** 20, 1536 * 2 ** 20, 100].map(formatSize)).toEqual(["512 MiB", "1.5 GiB", "100 B"]);
  });
});
