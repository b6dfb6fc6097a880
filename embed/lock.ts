/** What the lock file says about the npm packages inside the executable. */

import { join, resolve } from "node:path";
import lock from "../bun.lock";

export interface LockedPackage {
  /** Where it lies below node_modules: `bl`, `bl/node_modules/readable-stream`. */
  readonly place: string;
  readonly name: string;
  readonly version: string;
  /** `sha512-…`, base64. */
  readonly integrity: string;
}

interface Details {
  readonly dependencies?: Readonly<Record<string, string>>;
}
type Entry = readonly [string, string, Details, string];

const { packages, workspaces } = lock as unknown as {
  readonly packages: Readonly<Record<string, Entry>>;
  readonly workspaces: Readonly<Record<string, Details>>;
};

/** Path segments of a lock key, scoped names whole: `@a/b/c` is `@a/b`, `c`. */
const segments = (key: string): string[] => key.match(/@[^/]+\/[^/]+|[^/]+/g) ?? [];

/** The key under which `name` is found from `from`: the nearest enclosing place, as node resolves it. */
const found = (name: string, from: readonly string[]): string | undefined => {
  for (let depth = from.length; depth >= 0; depth--) {
    const key = [...from.slice(0, depth), name].join("/");
    if (key in packages) return key;
  }
  return undefined;
};

/** The packages that the program needs at run time, each place once, sorted. */
export const runtimePackages = (): readonly LockedPackage[] => {
  const keys = new Set<string>();
  const visit = (name: string, from: readonly string[]): void => {
    const key = found(name, from);
    if (key === undefined || keys.has(key)) return;
    keys.add(key);
    for (const needed of Object.keys(packages[key]?.[2].dependencies ?? {})) visit(needed, segments(key));
  };
  for (const name of Object.keys(workspaces[""]?.dependencies ?? {})) visit(name, []);
  return [...keys].sort().map((key) => {
    const [id, , , integrity] = packages[key] as Entry;
    const at = id.lastIndexOf("@");
    return {
      place: segments(key).join("/node_modules/"),
      name: id.slice(0, at),
      version: id.slice(at + 1),
      integrity,
    };
  });
};

/** The package file as `npm pack` names it. */
export const packageFile = ({ name, version }: LockedPackage): string =>
  `${name.replace(/^@/, "").replace("/", "-")}-${version}.tgz`;

export const root = resolve(import.meta.dir, "..");
export const vendor = join(root, "vendor");
