/** Finds QEMU: the variable of its architecture (`PROVIUM_QEMU`), else the PATH. */

import { accessSync, constants, statSync } from "node:fs";
import { HostError } from "../errors/errors.ts";
import { type Architecture, HOST_ARCHITECTURE } from "../sys/architecture.ts";
import { BOARDS } from "./architecture.ts";

/** A file that this process may execute. */
export const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};

export const findQemu = (
  env: Readonly<Record<string, string | undefined>>,
  architecture: Architecture = HOST_ARCHITECTURE,
): string => {
  const { program, variable, packages } = BOARDS[architecture];
  const hint = `install it (${packages}) or set ${variable} to its path`;
  const named = env[variable];
  if (named !== undefined && named !== "") {
    if (named.includes("/") && isProgram(named)) return named;
    if (named.includes("/")) throw new HostError(`${variable} is ${named}, which is not a program`, { hint });
  }
  const name = named === undefined || named === "" ? program : named;
  for (const directory of (env.PATH ?? "").split(":"))
    if (directory !== "" && isProgram(`${directory}/${name}`)) return `${directory}/${name}`;
  throw new HostError(`${name} was not found in PATH`, { hint });
};
