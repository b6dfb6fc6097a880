import { expect, test } from "bun:test";
import { parseSignature, type Type } from "../../../src/lua/signature.ts";

const name = (text: string): Type => ({ is: "name", name: text });

test("parameters, options and results", () => {
  expect(parseSignature("(cmd: string, opts?: RunOptions): RunResult")).toEqual([
    {
      parameters: [
        { name: "cmd", optional: false, type: name("string") },
        { name: "opts", optional: true, type: name("RunOptions") },
      ],
      returns: [{ type: name("RunResult"), rest: false }],
    },
  ]);
});

test("what has no type takes any, and a field that of the next one", () => {
  const [call] = parseSignature("(a, {x, y: integer, z?}): any...");
  expect(call?.parameters[0]?.type).toEqual(name("any"));
  expect(call?.parameters[1]?.type).toEqual({
    is: "table",
    fields: [
      { key: "x", optional: false, type: name("integer") },
      { key: "y", optional: false, type: name("integer") },
      { key: "z", optional: true, type: name("any") },
    ],
  });
  expect(call?.returns).toEqual([{ type: name("any"), rest: true }]);
});

test("unions, lists, literals, functions and several ways to call", () => {
  const [first, second] = parseSignature('(a: (VM|string)[]): "x"|"y" | nil, integer or (f: fun(t))');
  expect(first?.parameters[0]?.type).toEqual({
    is: "list",
    of: { is: "any of", types: [name("VM"), name("string")] },
  });
  expect(first?.returns.length).toBe(2);
  expect(second?.parameters[0]?.type).toEqual({ is: "function", parameters: ["t"] });
});

for (const wrong of ["", "(", "(a: )", "(a) b", "(a: {b)", "(a: string]", "(;)"])
  test(`${JSON.stringify(wrong)} is no signature`, () => {
    expect(() => parseSignature(wrong)).toThrow(SyntaxError);
  });
