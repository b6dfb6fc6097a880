/** The directories of snapshots on the host. */

import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { HostError } from "../errors/errors.ts";
import type { SnapshotFiles } from "../lab/ports.ts";
import { described, verifyFiles } from "./save.ts";

/** Blocks of stat(2) are always of this size. */
const BLOCK_BYTES = 512;

const message = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** `base`: where snapshots go that are given no path. */
export const createSnapshotFiles = (base: string): SnapshotFiles => {
  let made = 0;
  return {
    fresh: (name) => join(base, `${name.replace(/[^A-Za-z0-9._-]/g, "_")}-${++made}.snap`),
    create(directory) {
      try {
        mkdirSync(join(directory, ".."), { recursive: true, mode: 0o700 });
        // One that is empty may be in the way: whoever made it wanted it filled.
        if (existsSync(directory) && readdirSync(directory).length === 0) rmdirSync(directory);
        mkdirSync(directory, { mode: 0o700 });
      } catch (cause) {
        throw new HostError(`no snapshot can be written to ${directory}: ${message(cause)}`, { cause });
      }
    },
    remove: (directory) => rmSync(directory, { recursive: true, force: true }),
    write: (directory, name, text) => writeFileSync(join(directory, name), text, { mode: 0o600 }),
    read(directory, name) {
      try {
        return readFileSync(join(directory, name), "utf8");
      } catch (cause) {
        throw new HostError(`there is no snapshot in ${directory}: ${message(cause)}`, { cause });
      }
    },
    describe: described,
    verify: verifyFiles,
    exists: existsSync,
    size: (directory) =>
      existsSync(directory)
        ? readdirSync(directory, { recursive: true, encoding: "utf8" }).reduce(
            (sum, name) => sum + lstatSync(join(directory, name)).blocks * BLOCK_BYTES,
            0,
          )
        : 0,
  };
};
