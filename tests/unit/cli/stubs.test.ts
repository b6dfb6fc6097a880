import { expect, test } from "bun:test";
import { stubs } from "../../../src/cli/stubs.ts";
import { definedClasses } from "../../../src/lua/native.ts";
import { LuaState } from "../../../src/lua/state.ts";
import { Reactor } from "../../../src/sys/reactor.ts";

const text = stubs();

test("the stubs are Lua", () => {
  const state = new LuaState({ reactor: new Reactor(), memoryLimitMb: 0, roots: [] });
  expect(() => state.load(text, "types.lua")).not.toThrow();
  state.close();
});

test("every method of every class is there, with a type for each parameter and result", () => {
  const blocks = new Map(
    [...text.matchAll(/((?:^---.*\n)+)function (\w+)[:.](\w+)\((.*)\) end$/gm)].map((match) => [
      `${match[2]}:${match[3]}`,
      { annotations: match[1] as string, parameters: (match[4] as string).split(", ").filter(Boolean) },
    ]),
  );
  const names: Readonly<Record<string, string>> = {
    vm: "VM",
    lab: "Lab",
    task: "Task",
    provium: "Provium",
    "test context": "TestContext",
  };
  let count = 0;
  for (const { name, methods } of definedClasses())
    for (const [method, { signature }] of Object.entries(methods)) {
      const own = `${names[name] ?? name}:${method}`;
      const block = blocks.get(own) ?? blocks.get(`Lab:${method}`);
      if (block === undefined) throw new Error(`${own} is missing`);
      for (const parameter of block.parameters) expect(block.annotations).toContain(`---@param ${parameter}`);
      if (signature.includes("):")) expect(block.annotations).toContain("---@return ");
      count++;
    }
  expect(count).toBeGreaterThan(150);
});

test("every type that is named is one of Lua's or defined", () => {
  const known = new Set(
    "any nil boolean string number integer function table thread userdata fun self T".split(" "),
  );
  for (const match of text.matchAll(/^---@(?:class|alias) (\w+)/gm)) known.add(match[1] as string);
  const used = [...text.matchAll(/^---@(?:param \S+|return) (.*)$/gm)]
    // Names of fields and parameters, and literals, are no types.
    .map((match) => (match[1] as string).replaceAll(/"[^"]*"/g, "").replaceAll(/[\w?]+: ?/g, ""))
    .flatMap((type) => type.match(/[A-Za-z]\w*/g) ?? []);
  expect([...new Set(used)].filter((name) => !known.has(name))).toEqual([]);
});
