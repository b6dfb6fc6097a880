/** What a test says about a disk: `boot{disks = {...}}` and `vm:attach_disk{...}`. Pure. */

import { ApiError } from "../errors/errors.ts";
import { SECTOR_BYTES } from "./disk-faults.ts";
import { flag, must, type OptionContext, type OptionTable, only, text } from "./option-values.ts";
import type { DiskSpec } from "./ports.ts";
import { memorySize } from "./quantities.ts";

const FORMATS = ["raw", "qcow2"] as const;

/** Bytes of a disk: whole sectors, at least one. ApiError otherwise. */
export const diskSize = (value: unknown, what: string, context: Pick<OptionContext, "flavour">): number => {
  const bytes = memorySize(value, context.flavour, what);
  if (bytes > 0 && bytes % SECTOR_BYTES === 0) return bytes;
  throw new ApiError(`${what} must be a multiple of ${SECTOR_BYTES} bytes above 0, got ${bytes}`);
};

/** `pathKey`: what the key of the image is called here, "path" or "image". */
export const parseDisk = (
  table: OptionTable,
  what: string,
  pathKey: "path" | "image",
  defaultId: string,
  context: OptionContext,
): DiskSpec => {
  only(table, ["id", pathKey, "size", "format", "readonly"], what);
  const id = table.has("id") ? text(table.get("id"), `${what}.id`) : defaultId;
  if (!/^[A-Za-z][A-Za-z0-9._-]{0,63}$/.test(id))
    return must(`${what}.id`, "a letter followed by up to 63 letters, digits, `.`, `_` or `-`", id);
  const name = table.has("format") ? text(table.get("format"), `${what}.format`) : "raw";
  const format = FORMATS.find((known) => known === name);
  if (format === undefined) return must(`${what}.format`, '"raw" or "qcow2"', name);
  const path = table.has(pathKey) ? text(table.get(pathKey), `${what}.${pathKey}`) : undefined;
  const readonly = table.has("readonly") ? flag(table.get("readonly"), `${what}.readonly`) : false;
  if (path === undefined && format === "qcow2")
    throw new ApiError(`${what}: a temporary image is raw; a qcow2 one needs ${pathKey}`);
  if (path === undefined && readonly)
    throw new ApiError(`${what}: a temporary image is empty; a readonly disk needs ${pathKey}`);
  return {
    id,
    path: path === undefined ? undefined : context.resolve(path),
    sizeBytes: table.has("size") ? diskSize(table.get("size"), `${what}.size`, context) : undefined,
    format,
    readonly,
  };
};
