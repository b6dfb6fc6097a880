import { afterAll, expect, test } from "bun:test";
import { completions } from "../../../src/runner/complete.ts";
import { world } from "../api/world.ts";

const own = world();
own.lua(
  'vm = provium:vm("web", "default"); t = setmetatable({ alpha = { beta = 1 } }, { __index = { gamma = 2 } })',
);
afterAll(() => own.close());

const words = (line: string): readonly string[] => completions(own.state, line).words;

const cases: readonly [string, string, readonly string[]][] = [
  ["a global", "prov", ["provium"]],
  ["a keyword", "x = whi", ["while"]],
  ["a method of an object", "vm:push_", ["push_file"]],
  ["a method inside a call", "print(vm:push_", ["push_file"]],
  ["the object that a call returns, without making the call", 'vm:run("rm -rf /").exit', ["exit_code"]],
  ["through several calls", 'provium:vm("x"):console():ex', ["expect"]],
  ["a function of the module", "provium.create('x'):shut", ["shutdown"]],
  ["a machine of the lab", "provium.we", ["web"]],
  ["a method of that machine", "provium.web:read_f", ["read_file"]],
  ["a field of a table", "t.alp", ["alpha"]],
  ["a field below it", "t.alpha.", ["beta"]],
  ["what a table inherits", "t.ga", ["gamma"]],
  ["a library", "string.forma", ["format"]],
  ["methods of a string", "x = _VERSION:low", ["lower"]],
];
for (const [title, line, expected] of cases)
  test(`completes ${title}: ${line}`, () => {
    expect(words(line)).toEqual(expected);
  });

test("an empty word after nothing offers nothing; after a separator everything", () => {
  expect(words("")).toEqual([]);
  expect(words("vm:")).toContain("boot");
});

test("nonsense offers nothing and does not throw", () => {
  for (const line of [
    ")):x",
    "1.5.",
    '"abc',
    "nothing.at.all.",
    "a[1].b",
    "..",
    ":",
    "f(:",
    "nil.x",
    "vm:nope():",
  ])
    expect(words(line)).toEqual([]);
});
