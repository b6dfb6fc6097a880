import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { manual } from "../../../embed/manual.ts";

test("docs/lua-api.md says what exists (made by `bun embed/manual.ts`)", () => {
  expect(readFileSync(join(import.meta.dir, "../../../docs/lua-api.md"), "utf8")).toBe(manual());
});

test("every method of every class is in it", () => {
  // In a process of its own: other tests of this one define classes too.
  const script = `import { manual } from "../../../embed/manual.ts";
    import { definedClasses } from "../../../src/lua/native.ts";
    const text = manual();
    const methods = definedClasses().flatMap((one) => Object.keys(one.methods).map((name) => [one.name, name]));
    if (methods.length < 100) throw new Error("only " + methods.length + " methods");
    console.log(methods.filter(([, name]) => !text.includes(":" + name + "(")).join("\\n"));`;
  const { stdout, stderr } = Bun.spawnSync(["bun", "-e", script], { cwd: import.meta.dir });
  expect(`${stdout}${stderr}`.trim()).toBe("");
});
