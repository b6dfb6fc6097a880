/** The suites that must fail: each file says in comments how each of its tests has to end. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { lua } from "../../../src/lua/engine.ts";
import { dialectOf } from "../../../src/runner/dialect.ts";
import { run } from "./harness.ts";

const directory = resolve(import.meta.dir, "../../local/framework/must_fail");
const EXPECTED = /^--> (passed|failed|skipped) "([^"]+)"(?:: (.*))?$/gm;

for (const name of readdirSync(directory).filter((file) => file.endsWith(".lua")))
  test.if(name !== "memory.lua" || lua.lua_setmemorylimit !== undefined)(
    `must_fail/${name} ends exactly as its comments say`,
    () => {
      const source = readFileSync(join(directory, name), "utf8");
      const told = run(source, { dialect: dialectOf(source, name), name });
      const expected = [...source.matchAll(EXPECTED)];
      expect(told.results).toEqual(expected.map(([, outcome, title]) => `${title}: ${outcome}`));
      for (const [, outcome, title, reason] of expected)
        if (outcome !== "passed") expect(told.reason(title as string)).toContain(reason as string);
      const error = /^--> error: (.*)$/m.exec(source)?.[1];
      if (error !== undefined) expect(told.outcome.error).toContain(error);
      expect(told.outcome.status).toBe("failed");
    },
    20_000,
  );
