import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { manual } from "../../../embed/manual.ts";

test("docs/lua-api.md says what exists (made by `bun embed/manual.ts`)", () => {
  expect(readFileSync(join(import.meta.dir, "../../../docs/lua-api.md"), "utf8")).toBe(manual());
});
