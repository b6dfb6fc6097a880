/** Packages from npm, checked against known hashes before they are used, and Bun's executables for other machines. */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import manifest from "../package.json" with { type: "json" };
import table from "./runtimes.json" with { type: "json" };

export type Machine = keyof typeof table;
export const MACHINES = Object.keys(table) as Machine[];

const root = resolve(import.meta.dir, "..");
const version = manifest.devDependencies.bun;

/** Runs a program of the build; its output is told only when it fails. */
export const run = (
  command: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): string => {
  const done = Bun.spawnSync([...command], {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdout: "pipe",
    stderr: "pipe",
  });
  if (done.exitCode !== 0)
    throw new Error(`${command.join(" ")} failed:\n${done.stdout.toString()}${done.stderr.toString()}`);
  return done.stdout.toString();
};

/** The file, once its hash is the one expected (`sha512-…`); a file with another hash is removed. */
export const verified = (path: string, integrity: string): string => {
  const found = `sha512-${createHash("sha512").update(readFileSync(path)).digest("base64")}`;
  if (found === integrity) return path;
  rmSync(path);
  throw new Error(`${path} has the hash ${found} and not ${integrity}; it was removed`);
};

/** Fetches an npm package (`name@version`) into a directory and returns the name of its file. */
export const fetchPackage = (id: string, directory: string, integrity?: string): string => {
  const file = run(["npm", "pack", "--silent", "--pack-destination", directory, id]).trim();
  if (integrity !== undefined) verified(join(directory, file), integrity);
  return file;
};

/** The executable itself and what Bun calls its machine. */
export const runtime = (machine: Machine): { readonly path: string; readonly target: string } => {
  const directory = join(root, "build/runtimes", `${machine}-${version}`);
  const path = join(directory, "package/bin/bun");
  if (!existsSync(path)) {
    const { package: name, integrity } = table[machine];
    const archives = join(root, "build/runtimes");
    mkdirSync(archives, { recursive: true });
    const archive = join(archives, fetchPackage(`${name}@${version}`, archives, integrity));
    const draft = `${directory}.new`;
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft, { recursive: true });
    run(["tar", "-xzf", archive, "-C", draft]);
    renameSync(draft, directory);
    rmSync(archive);
  }
  return { path, target: table[machine].target };
};
