/** Which fixtures a project has: `*.fixture.lua` below its roots, and the Lua files of its directories `fixtures`. */

import { join } from "node:path";
import {
  FIXTURE_DIRECTORY,
  FIXTURE_SUFFIX,
  fixturePath,
  fixtureTitle,
  type Places,
} from "../fixture/names.ts";
import { moduleFile, sourceOf } from "../fixture/references.ts";
import { scanSource } from "../fixture/scan.ts";
import { luaFilesBelow } from "./discover.ts";

const below = (directory: string): string[] => {
  try {
    return luaFilesBelow(directory);
  } catch {
    // Not there, or not to be read.
    return [];
  }
};

/** Files, sorted by path. A plain Lua file that one of the others requires is a module, not a fixture. */
export const fixtureFilesOf = (places: Places): string[] => {
  const { project, roots } = places;
  const suffixed = roots.flatMap((root) => below(root).filter((file) => file.endsWith(FIXTURE_SUFFIX)));
  const plain = [project, ...roots].flatMap((place) => below(join(place, FIXTURE_DIRECTORY)));
  const all = [...new Set([...suffixed, ...plain.filter((file) => !file.endsWith(".test.lua"))])];
  const modules = new Set(
    all.flatMap((file) =>
      scanSource(sourceOf(file) ?? "").modules.map((module) => moduleFile(module, file, places)),
    ),
  );
  return all.filter((file) => !modules.has(file)).sort();
};

/** Their names. */
export const fixtureTitles = (places: Places): string[] =>
  fixtureFilesOf(places).map((file) => fixtureTitle(fixturePath(file, places)));
