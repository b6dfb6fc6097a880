import { expect, test } from "bun:test";
import type { Args } from "../../../src/lua/args.ts";
import { plain } from "../../../src/lua/deep.ts";
import { LuaError } from "../../../src/lua/errors.ts";
import { fn } from "../../../src/lua/native.ts";
import { showPair } from "../../../src/lua/show.ts";
import { LuaState } from "../../../src/lua/state.ts";
import { LuaFloat } from "../../../src/lua/values.ts";
import { Reactor } from "../../../src/sys/reactor.ts";

const state = new LuaState({ reactor: new Reactor(), memoryLimitMb: 0, roots: [] });

/** What a reader makes of the argument list `text`, or the message it raises. */
const read = (reader: (args: Args) => unknown, text: string): unknown => {
  let seen: unknown;
  const probe = fn("f", "", "", (args) => {
    seen = reader(args);
  });
  try {
    state.load(`local f = ... f(${text})`, "t").call(probe);
  } catch (error) {
    if (!(error instanceof LuaError)) throw error;
    return error.message.replace("t:1: bad argument #1 to 'f' ", "");
  }
  return seen;
};

const cases: readonly (readonly [string, (args: Args) => unknown, string, unknown])[] = [
  ["an integer is read exactly", (a) => a.integer(1), "math.maxinteger", 2n ** 63n - 1n],
  ["an integral float is an integer", (a) => a.integer(1), "3.0", 3],
  ["a large float is an integer", (a) => a.integer(1), "2^62", 2n ** 62n],
  ["a fraction is no integer", (a) => a.integer(1), "1.5", "(number 1.5 has no integer representation)"],
  [
    "2^63 is no integer",
    (a) => a.integer(1),
    "2^63",
    "(number 9223372036854776000.0 has no integer representation)",
  ],
  ["a decimal text is an integer", (a) => a.integer(1), '" -12 "', -12],
  ["a hexadecimal text is an integer", (a) => a.integer(1), '"0xff"', 255],
  ["other text is not", (a) => a.integer(1), '"12x"', '(integer expected, got string "12x")'],
  ["nil is not", (a) => a.integer(1, "nr"), "nil", "(nr: integer expected, got nil)"],
  ["nothing is told from nil", (a) => a.integer(1, "nr"), "", "(nr: integer expected, got no value)"],
  ["a count is not negative", (a) => a.count(1), "-1", "(non-negative integer expected, got number -1)"],
  [
    "a count is a safe number",
    (a) => a.count(1),
    "1 << 60",
    "(integer up to 9007199254740991 expected, got number 1152921504606846976)",
  ],
  ["a number may be text", (a) => a.number(1), '"1e3"', 1000],
  ["an empty text is no number", (a) => a.number(1), '""', '(number expected, got string "")'],
  ["text may be a number", (a) => a.text(1), "12", "12"],
  ["a float keeps its point as text", (a) => a.text(1), "2.0", "2.0"],
  ["a table is no text", (a) => a.text(1, "cmd"), "{}", "(cmd: string expected, got table)"],
  ["a boolean is no truth value", (a) => a.boolean(1), "1", "(boolean expected, got number 1)"],
  ["one of several words", (a) => a.oneOf(1, ["a", "b"]), '"b"', "b"],
  [
    "an unknown word names the allowed ones",
    (a) => a.oneOf(1, ["a", "b"]),
    '"c"',
    "(invalid value 'c' (allowed: 'a', 'b'))",
  ],
  ["an absent option is undefined", (a) => a.optCount(1), "nil", undefined],
  [
    "an option of the wrong type is refused",
    (a) => a.optFunc(1, "f"),
    "5",
    "(f: function expected, got number 5)",
  ],
  [
    "types are named",
    (a) => [a.type(1), a.type(2), a.type(3), a.length],
    "1, nil",
    ["number", "nil", "none", 2],
  ],
  [
    "long text is shortened in messages",
    (a) => a.integer(1),
    "('x'):rep(100)",
    `(integer expected, got string "${"x".repeat(60)}"... (100 bytes))`,
  ],
  [
    "bytes that do not print are escaped",
    (a) => a.integer(1),
    '"\\xff\\n\\"\\0"',
    '(integer expected, got string "\\xff\\n\\"\\x00")',
  ],
];

for (const [title, reader, text, expected] of cases)
  test(title, () => expect(read(reader, text)).toEqual(expected));

test("plain data: sequences are arrays, other tables Maps, and keys keep their type", () => {
  const data = read((args) => plain(args.any(1), "v"), "{1, {a = 2.5}, {[1.5] = true, [-1] = 1.0}}");
  expect(data).toEqual([
    1,
    new Map([[new TextEncoder().encode("a"), 2.5]]),
    new Map<unknown, unknown>([
      [1.5, true],
      [-1, new LuaFloat(1)],
    ]),
  ]);
});

test("functions and cycles are no data, and the message says where", () => {
  expect(read((args) => plain(args.any(1), "v"), "{a = {print}}")).toBe(
    "t:1: v.a[1]: a function cannot be stored as data",
  );
  expect(
    read((args) => plain(args.any(1), "v"), "(function() local t = {} t.t = t return t end)()"),
  ).toContain("or a cycle");
});

test("compared values are shown as tests write them, with quotes where they could mislead", () => {
  const pair = (text: string) =>
    read((args) => showPair(args.any(1), args.any(2), (value) => state.textOf(value)).join(" | "), text);
  expect(pair("1, 2.0")).toBe("1 | 2.0");
  expect(pair('"a b", "c"')).toBe("a b | c");
  expect(pair('1, "1"')).toBe('1 | "1"');
  expect(pair('"a", "a "')).toBe('"a" | "a "');
  expect(pair('"", "x"')).toBe('"" | "x"');
  expect(pair("nil, false")).toBe("nil | false");
  expect(pair('{1, 2, x = {y = "z"}}, {}')).toBe('{1, 2, x = {y = "z"}} | {}');
  expect(pair("{{{{{}}}}}, {}")).toBe("{{{{...}}}} | {}");
  expect(pair("setmetatable({}, {__tostring = function() return 'mine' end}), 1")).toBe("mine | 1");
});
