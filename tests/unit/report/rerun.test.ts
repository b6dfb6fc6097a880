import { expect, test } from "bun:test";
import type { FileRecord, RunInfo, TestRecord } from "../../../src/report/record.ts";
import { rerunCommand } from "../../../src/report/rerun.ts";

const info = { rerun: ["provium", "{file}", "--accel", "tcg"], seed: "7" } as unknown as RunInfo;
const testOf = (name: string, parent?: string) => ({ name, parent }) as unknown as TestRecord;
const fileOf = (path: string, ...tests: TestRecord[]) =>
  ({ path, location: "sub/a.test.lua", seed: undefined, tests }) as unknown as FileRecord;

test("a part of a test is repeated with the whole test, and words are quoted for a shell", () => {
  const [whole, part] = [testOf("it's whole"), testOf("it's whole/part", "it's whole")];
  expect(rerunCommand(info, fileOf("a.test.lua", whole, part), part)).toBe(
    `provium sub/a.test.lua --accel tcg --seed 7 --test 'it'\\''s whole'`,
  );
});

test("names that begin like a flag are not taken for one", () => {
  const dashed = testOf("-v says more");
  const file = { ...fileOf("-a.test.lua", dashed), location: "-a.test.lua" };
  expect(rerunCommand(info, file, dashed)).toBe(
    "provium ./-a.test.lua --accel tcg --seed 7 '--test=-v says more'",
  );
});

test("a repetition is repeated together with those before it, because what it drew depends on its number", () => {
  expect(rerunCommand(info, fileOf("a.test.lua #3"))).toBe(
    "provium sub/a.test.lua --accel tcg --seed 7 --repeat 3",
  );
});

test("a stream that does not say how it was made has no such line", () => {
  expect(rerunCommand(undefined, fileOf("a.test.lua"))).toBeUndefined();
});
