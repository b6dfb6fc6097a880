/**
 * Builds the C programs that the figures are compared with.
 */

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** One C file as a static program. */
export const compile = (source: string, output: string): string => {
  const result = spawnSync("musl-gcc", ["-static", "-O2", "-o", output, source], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`musl-gcc: ${result.stderr || result.error?.message}`);
  return output;
};

/** peer.c as a static program below `directory`. */
export const compilePeer = (directory: string): string =>
  compile(join(import.meta.dir, "peer.c"), join(directory, "peer"));

/** A static program that returns 0 and does nothing else. */
export const compileTrivial = (directory: string): string => {
  const source = join(directory, "trivial.c");
  writeFileSync(source, "int main(void) { return 0; }\n");
  return compile(source, join(directory, "trivial"));
};
