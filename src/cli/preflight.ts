/** `--preflight strict`: no run on a host where anything has to be replaced by something slower. */

import { HostError } from "../errors/errors.ts";
import { examine } from "./doctor.ts";

/** Throws `HostError` that names everything missing, with its remedy. */
export const strictPreflight = (): void => {
  const faults = examine().filter(({ health }) => health === "replaced" || health === "missing");
  if (faults.length === 0) return;
  const lines = faults.map(
    ({ what, found, remedy }) => `  ${what}: ${found}${remedy === undefined ? "" : ` (${remedy})`}`,
  );
  throw new HostError(`this host does not offer everything:\n${lines.join("\n")}`, {
    hint: "without --preflight strict a run replaces what it can",
  });
};
