/**
 * Which files are tests. Two rules, by the form of the command:
 *
 * - lab (`provium PATHS`): every `*.test.lua` below a directory;
 * - classic (`provium test PATHS`): every `*.lua`, but not fixtures, not what lies below a directory named
 *   `fixtures`, and not modules that another file, a fixture too, requires by a literal name.
 *
 * Hidden directories are not entered. A file that is named itself always runs.
 */

import { readdirSync, readFileSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { UsageError } from "../errors/errors.ts";
import type { ResourceAmount } from "../events/types.ts";
import { sourceOf } from "../fixture/references.ts";
import { declaredClaim } from "./claim.ts";

export type Form = "lab" | "classic";

export interface TestFile {
  /** Absolute. */
  readonly file: string;
  /** Relative to its root; names the file in events and reports, unique within a run. */
  readonly path: string;
  readonly dialect: "classic" | "lab";
  /** What it says that it needs, as far as that can be read from its text. */
  readonly claim?: ResourceAmount | undefined;
}

export interface DiscoveryPlan {
  readonly form: Form;
  /** As given on the command line; empty means the roots, and without roots the working directory. */
  readonly paths: readonly string[];
  readonly directory: string;
  /** Configured roots, absolute. */
  readonly roots: readonly string[];
  readonly dialectOf: (source: string, name: string) => "classic" | "lab";
}

interface Candidate {
  readonly file: string;
  /** Named on the command line. */
  readonly named: boolean;
}

const inside = (directory: string, file: string): boolean => {
  const path = relative(directory, file);
  return path !== "" && !path.startsWith("..") && !isAbsolute(path);
};

/** A name that is not UTF-8 reads as one with U+FFFD in it, which no file has. */
const nameHint = (path: string): string | undefined =>
  path.includes("\ufffd") ? "its name, or that of a directory above it, is not UTF-8: rename it" : undefined;

/** What `read` gives, or a `UsageError` that names the path (permission denied, a circle of links). */
const readable = <T>(path: string, read: () => T): T => {
  try {
    return read();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new UsageError(`${path} cannot be read (${code})`, { cause, hint: nameHint(path) });
  }
};

/** What a link leads to; undefined where it leads nowhere, also in a circle. */
const targetOf = (link: string): Stats | undefined => {
  try {
    return statSync(link);
  } catch {
    return undefined;
  }
};

/** Every `*.lua` below a directory, sorted by path; a directory that is reached twice through links counts once. */
export const luaFilesBelow = (directory: string, seen: Set<string> = new Set()): string[] => {
  const real = readable(directory, () => realpathSync(directory));
  if (seen.has(real)) return [];
  seen.add(real);
  const found: string[] = [];
  const entries = readable(directory, () => readdirSync(directory, { withFileTypes: true }));
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const path = join(directory, entry.name);
    const info = entry.isSymbolicLink() ? targetOf(path) : entry;
    if (info?.isDirectory()) found.push(...luaFilesBelow(path, seen));
    else if (info?.isFile() && entry.name.endsWith(".lua")) found.push(path);
  }
  return found;
};

const isTest = (form: Form, root: string, file: string): boolean => {
  const name = basename(file);
  if (form === "lab") return name.endsWith(".test.lua");
  return !name.endsWith(".fixture.lua") && !relative(root, dirname(file)).split("/").includes("fixtures");
};

/** Files that `source` requires by literal names, wherever they could lie. */
const requiredFiles = (source: string, places: readonly string[]): string[] => {
  const files: string[] = [];
  for (const match of source.matchAll(/\brequire\s*\(?\s*(["'])([\w./-]+)\1/g)) {
    const module = (match[2] as string).replaceAll(".", "/");
    for (const place of places) files.push(join(place, `${module}.lua`), join(place, module, "init.lua"));
  }
  return files;
};

/** Names for people: below a configured root, else below the working directory, else below what was given. */
const pathOf = (file: string, places: readonly string[]): string => {
  for (const place of places) if (inside(place, file)) return relative(place, file);
  return file;
};

/** Test files in order of discovery. Throws `UsageError` for a path that does not exist. */
export const discover = (plan: DiscoveryPlan): TestFile[] => {
  // A variable that was not set: it would name the working directory.
  if (plan.paths.includes("")) throw new UsageError("a path is empty");
  const given =
    plan.paths.length > 0
      ? plan.paths.map((path) => resolve(plan.directory, path))
      : plan.roots.length > 0
        ? plan.roots
        : [plan.directory];
  const candidates = new Map<string, Candidate>();
  const directories: string[] = [];
  /** Lua files that are no tests: fixtures. */
  const others: string[] = [];
  for (const path of given) {
    const info = readable(path, () => statSync(path, { throwIfNoEntry: false }));
    if (info === undefined)
      throw new UsageError(`${path}: no such file or directory`, {
        hint: nameHint(path) ?? (plan.paths.length > 0 ? undefined : "correct `roots` in provium.toml"),
      });
    // Reading a pipe or a terminal here would wait for ever, and a runner could not read it once more.
    if (!info.isDirectory() && !info.isFile())
      throw new UsageError(`${path} is neither a file nor a directory`);
    if (info.isFile()) candidates.set(path, { file: path, named: true });
    else {
      directories.push(path);
      for (const file of luaFilesBelow(path))
        if (!isTest(plan.form, path, file)) others.push(file);
        else if (!candidates.has(file)) candidates.set(file, { file, named: false });
    }
  }

  const sources = new Map(
    [...candidates.keys()].map((file) => [file, readable(file, () => readFileSync(file, "utf8"))]),
  );
  const modules = new Set<string>();
  if (plan.form === "classic")
    for (const file of [...sources.keys(), ...others]) {
      const source = sources.get(file) ?? sourceOf(file) ?? "";
      const places = [...plan.roots, ...directories, dirname(file), plan.directory];
      for (const module of requiredFiles(source, places)) if (module !== file) modules.add(module);
    }

  const places = [...plan.roots, plan.directory, ...directories, ...given.map((path) => dirname(path))];
  const taken = new Set<string>();
  const files: TestFile[] = [];
  for (const { file, named } of candidates.values()) {
    if (!named && modules.has(file)) continue;
    let path = pathOf(file, places);
    if (taken.has(path)) path = file;
    taken.add(path);
    const source = sources.get(file) as string;
    files.push({ file, path, dialect: plan.dialectOf(source, file), claim: declaredClaim(source) });
  }
  return files;
};
