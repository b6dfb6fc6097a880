import { expect, test } from "bun:test";
import { dialectOf } from "../../../src/runner/dialect.ts";

const cases: readonly (readonly [string, string, string, string])[] = [
  ["a marker wins over every word", "--!provium classic\nprovium:vm('a')", "a.test.lua", "classic"],
  ["a marker for lab wins over the name", "-- x\n  --!provium lab  \nassert_eq(1, 1)", "a.lua", "lab"],
  ["a marker after line 20 does not count", `${"\n".repeat(20)}--!provium classic`, "a.test.lua", "lab"],
  ["a method call on provium is lab", "local g = provium:vm('g')", "a.lua", "lab"],
  ["a classic function called with a colon is classic", "provium:create('g')", "a.test.lua", "classic"],
  ["provium.create is classic", 'local g = provium.create("minimal")', "a.test.lua", "classic"],
  ["a lab field is lab", "provium.timeout = 5", "a.lua", "lab"],
  [
    "words in comments do not count",
    "-- provium.create('x')\n--[[ provium.create ]] x = 1",
    "a.test.lua",
    "lab",
  ],
  ["words in strings do not count", "x = 'provium.create' y = [==[ provium.create ]==]", "a.test.lua", "lab"],
  ["assert_eq is classic", "assert_eq(1, 1)", "a.test.lua", "classic"],
  ["t:assert_eq is not", "x.t:assert_eq(1, 1)", "a.lua", "classic"],
  ["a definition of assert_eq is no call", "local function assert_eq(a, b) end", "a.test.lua", "lab"],
  ["a table as second argument is lab", "test('a', {slow = true}, f)", "a.lua", "lab"],
  ["an inline function with a parameter is lab", "test('a', function(t) end)", "a.lua", "lab"],
  ["an inline function without parameters says nothing", "test('a', function() end)", "a.lua", "classic"],
  [
    "a name built by calls does not confuse the second argument",
    "test(f({1, 2}, 3), function(t) end)",
    "a.lua",
    "lab",
  ],
  ["both kinds: the name decides", "provium.create('x') provium:vm('y')", "a.test.lua", "lab"],
  ["both kinds in a plain file", "provium.create('x') provium:vm('y')", "a.lua", "classic"],
  ["nothing at all: a fixture is lab", "return 1", "a.fixture.lua", "lab"],
  ["an unfinished string does not hang", "x = 'abc\nprovium:vm('y')", "a.lua", "lab"],
  ["an unfinished long comment hides the rest", "--[[ provium:vm('y')", "a.lua", "classic"],
  ["another object's field named provium says nothing", "x.provium:vm('y')", "a.lua", "classic"],
];

for (const [title, source, name, dialect] of cases)
  test(title, () => expect(dialectOf(source, name)).toBe(dialect as "classic" | "lab"));
