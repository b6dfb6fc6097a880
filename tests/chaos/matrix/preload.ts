/** The library that makes clocks of single processes jump, built when it is needed. */

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

export const buildPreload = (): string => {
  const library = resolve("build/chaos/clock.so");
  mkdirSync("build/chaos", { recursive: true });
  const { exitCode, stderr } = Bun.spawnSync([
    ...["gcc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"],
    ...["-o", library, join(import.meta.dir, "clock.c")],
  ]);
  if (exitCode !== 0) throw new Error(`clock.c: ${stderr}`);
  return library;
};
