import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { manual } from "../../../embed/manual.ts";
import { definedClasses } from "../../../src/lua/native.ts";

test("docs/lua-api.md says what exists (made by `bun embed/manual.ts`)", () => {
  expect(readFileSync(join(import.meta.dir, "../../../docs/lua-api.md"), "utf8")).toBe(manual());
});

test("every method of every class is in it", () => {
  const text = manual();
  const missing = definedClasses().flatMap(({ name, methods }) =>
    Object.keys(methods)
      .filter((method) => !text.includes(`:${method}(`))
      .map((method) => `${name}:${method}`),
  );
  expect(missing).toEqual([]);
});
