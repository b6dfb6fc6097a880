/** Finds QEMU: `PROVIUM_QEMU`, else the PATH. */

import { accessSync, constants, statSync } from "node:fs";
import { HostError } from "../errors/errors.ts";

const NAME = "qemu-system-x86_64";
const HINT =
  "install it (Debian, Ubuntu: apt install qemu-system-x86; Fedora: dnf install qemu-system-x86-core) or set PROVIUM_QEMU to its path";

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};

export const findQemu = (env: Readonly<Record<string, string | undefined>>): string => {
  const named = env.PROVIUM_QEMU;
  if (named !== undefined && named !== "") {
    if (named.includes("/") && isProgram(named)) return named;
    if (named.includes("/"))
      throw new HostError(`PROVIUM_QEMU is ${named}, which is not a program`, { hint: HINT });
  }
  const name = named === undefined || named === "" ? NAME : named;
  for (const directory of (env.PATH ?? "").split(":"))
    if (directory !== "" && isProgram(`${directory}/${name}`)) return `${directory}/${name}`;
  throw new HostError(`${name} was not found in PATH`, { hint: HINT });
};
