import { expect, test } from "bun:test";
import { declaredClaim } from "../../../src/dispatch/claim.ts";

const GIB = 2 ** 30;

test("a claim of literals is read from the text, however it is written", () => {
  const both = { memory_bytes: 2 * GIB, cpus: 3 };
  expect(declaredClaim('provium:claim{ memory = "2G", cpus = 3 }')).toEqual(both);
  expect(declaredClaim('provium:claim({cpus=3; memory="2G";})')).toEqual(both);
  expect(declaredClaim(`provium:claim{ memory = ${2 * GIB}, cpus = 3 } -- or so`)).toEqual(both);
  expect(declaredClaim("local x = 1\nprovium:claim{cpus = 0x2}")).toEqual({ memory_bytes: 0, cpus: 2 });
});

test("what only running the file could tell is not guessed", () => {
  for (const text of [
    "provium:claim{ memory = 2 * 2^30 }",
    "provium:claim{ memory = size }",
    'provium:claim{ memory = "2G" .. "" }',
    "provium:claim(amount)",
    'provium:claim{ disk = "2G" }',
    'provium:claim{ memory = "much" }',
    "provium:claim{ memory = ",
    '-- provium:claim{ memory = "2G" }',
    'print("provium:claim{ cpus = 2 }")',
    "local claim = {}",
  ])
    expect(declaredClaim(text), text).toBeUndefined();
});
