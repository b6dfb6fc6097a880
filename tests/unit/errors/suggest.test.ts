import { expect, test } from "bun:test";
import { suggestion } from "../../../src/errors/suggest.ts";

test.each([
  ["laterncy", ["latency", "loss"], 'did you mean "latency"?'],
  ["eth9", ["lan", "eth0"], 'did you mean "eth0"?'],
  ["a", ["b", "c"], "known: b, c"],
  ["A", ["a", "b"], 'did you mean "a"?'],
  ["x", [], "known: none"],
])("%p among %p: %s", (given, known, words) => {
  expect(suggestion(given, known)).toBe(words);
});
