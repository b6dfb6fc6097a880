/**
 * Checks the floors of the house: a file imports from its own folder and from lower floors, never upwards,
 * never sideways within a floor, and there is no import cycle. FFI is called in `src/sys/` only.
 *
 * Type-only imports may form cycles at run time without harm, but they follow the same floors.
 */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/**
 * Rooms by floor, from the ground up. The plan is in docs/architecture.md. The ports of the model stand below
 * those that implement them.
 */
const FLOORS: readonly (readonly string[])[] = [
  ["errors"],
  ["sys", "events", "source"],
  ["lua", "fixture", "channel", "report", "config", "assets", "packet"],
  ["net/backend.ts"],
  ["lab/ports.ts"],
  ["lab", "guest", "boot"],
  ["api", "vmm", "net", "disk"],
  ["runner"],
  ["dispatch"],
  ["cli"],
  ["main.ts"],
];

const source = resolve(import.meta.dir, "../../src");
const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".ts"),
);
const room = (file: string): string => file.split("/")[0] as string;
const floor = (file: string): number => {
  const own = FLOORS.findIndex((rooms) => rooms.includes(file));
  return own >= 0 ? own : FLOORS.findIndex((rooms) => rooms.includes(room(file)));
};

const problems: string[] = [];
const imports = new Map<string, string[]>();

for (const file of files) {
  const text = readFileSync(join(source, file), "utf8");
  if (floor(file) < 0) problems.push(`${file}: the room '${room(file)}' stands on no floor`);
  if (/from "bun:ffi"/.test(text) && room(file) !== "sys")
    problems.push(`${file}: FFI belongs into src/sys/`);
  const targets = [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((match) =>
    relative(source, resolve(source, dirname(file), match[1] as string)),
  );
  imports.set(
    file,
    targets.filter((target) => files.includes(target)),
  );
  for (const target of targets) {
    if (target.startsWith("..")) continue;
    if (room(target) !== room(file) && floor(target) >= floor(file))
      problems.push(`${file} (floor ${floor(file)}) imports ${target} (floor ${floor(target)})`);
  }
}

const state = new Map<string, "open" | "done">();
const visit = (file: string, path: readonly string[]): void => {
  if (state.get(file) === "done") return;
  if (state.get(file) === "open") {
    problems.push(`import cycle: ${[...path.slice(path.indexOf(file)), file].join(" → ")}`);
    return;
  }
  state.set(file, "open");
  for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
  state.set(file, "done");
};
for (const file of files) visit(file, []);

for (const problem of problems) console.error(problem);
console.log(`layers: ${files.length} files, ${problems.length} problem(s)`);
process.exit(problems.length === 0 ? 0 : 1);
