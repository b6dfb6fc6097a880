/** What the executable carries of others is named in THIRD_PARTY.md, and none of it runs anything when it is installed. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root, runtimePackages } from "../../../embed/lock.ts";
import project from "../../../package.json" with { type: "json" };

const carried = runtimePackages();
const [, inside = ""] =
  /## In the executable itself\n(.*?)\n## /s.exec(readFileSync(join(root, "THIRD_PARTY.md"), "utf8")) ?? [];
const rows = inside.split("\n").filter((line) => line.startsWith("| "));
const named = (name: string): string | undefined =>
  rows.find((row) =>
    row
      .split("|")[1]
      ?.match(/[\w@/.-]+/g)
      ?.includes(name),
  );

test("every package of the executable is named with its licence, and with its version where we chose it", () => {
  expect(carried.map(({ name }) => name).filter((name) => named(name) === undefined)).toEqual([]);
  const { bun } = project.devDependencies;
  for (const [name, version] of Object.entries({ ...project.dependencies, Bun: bun }))
    expect(named(name)).toContain(`| ${version}`);
});

test("no package of the executable has a script that an installation would run, nor would it be run", () => {
  expect(project.trustedDependencies).toEqual([]);
  for (const { place } of carried) {
    const { scripts = {} } = JSON.parse(
      readFileSync(join(root, "node_modules", place, "package.json"), "utf8"),
    ) as { scripts?: Record<string, string> };
    expect(Object.keys(scripts).filter((name) => /^(pre|post)?install$/.test(name))).toEqual([]);
  }
});
