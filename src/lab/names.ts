/** Names in a lab: what they may look like and the errors when they clash. */

import { ApiError } from "../errors/errors.ts";

/** Keys that `provium.<name>` keeps for itself, so no VM, bridge or sub-lab can have them. */
export const RESERVED_NAMES = ["pack", "unpack", "vm_fixture", "lab_fixture"] as const;

/** Checks a name that is about to be declared. Throws ApiError. */
export const checkName = (kind: string, name: string): void => {
  if (name === "") throw new ApiError(`a ${kind} needs a name that is not empty`);
  if ((RESERVED_NAMES as readonly string[]).includes(name))
    throw new ApiError(`\`${name}\` is a reserved name (reserved: ${RESERVED_NAMES.join(", ")})`, {
      hint: "Pick a different name.",
    });
};

export const shadowed = (kind: "vm" | "lab" | "bridge", name: string, parent: string): ApiError =>
  new ApiError(
    `name already declared at parent scope (lab \`${parent}\`). Pick a different name, or use ` +
      `\`provium:${kind}("${name}")\` to reuse it.`,
  );

export const duplicate = (
  what: "DuplicateVmName" | "DuplicateLabName" | "DuplicateBridgeName",
  name: string,
  lab: string,
): ApiError =>
  new ApiError(
    `${what}: lab \`${lab}\` already has a ${what.replace(/^Duplicate(\w+)Name$/, "$1").toLowerCase()} \`${name}\``,
  );
