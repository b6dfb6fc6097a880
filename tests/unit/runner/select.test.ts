import { expect, test } from "bun:test";
import type { TestFilter } from "../../../src/runner/protocol.ts";
import { skipReason } from "../../../src/runner/select.ts";

const filter = (over: Partial<TestFilter>): TestFilter => ({
  includeSlow: false,
  names: [],
  tags: [],
  noTags: [],
  tagMeta: [],
  noTagMeta: [],
  ...over,
});

test("metadata is matched by strings and arrays of strings: one value of each key, every key", () => {
  const wanted = filter({
    tagMeta: [
      ["area", ["net", "fs"]],
      ["spec", ["1.2"]],
    ],
  });
  expect(skipReason("t", { area: "net", spec: ["1.1", "1.2"] }, wanted)).toBeUndefined();
  expect(skipReason("t", { area: "net", spec: "1.3" }, wanted)).toBe("filtered: --tag-meta spec=1.2");
  expect(skipReason("t", { area: "ui", spec: "1.2" }, wanted)).toBe(
    "filtered: --tag-meta area=net --tag-meta area=fs",
  );
  expect(skipReason("t", {}, wanted)).toContain("--tag-meta area");
});

test("numbers and tables do not match, and neither do names that every object has", () => {
  expect(skipReason("t", { level: 3 }, filter({ tagMeta: [["level", ["3"]]] }))).toContain("filtered");
  expect(skipReason("t", { area: { a: "net" } }, filter({ tagMeta: [["area", ["net"]]] }))).toContain(
    "filtered",
  );
  expect(skipReason("t", {}, filter({ tagMeta: [["constructor", ["x"]]] }))).toContain("filtered");
});

test("--no-tag-meta wins over --tag-meta", () => {
  const both = filter({ tagMeta: [["area", ["net"]]], noTagMeta: [["speed", ["slow"]]] });
  expect(skipReason("t", { area: "net" }, both)).toBeUndefined();
  expect(skipReason("t", { area: "net", speed: "slow" }, both)).toBe("filtered: --no-tag-meta speed=slow");
});
