/** A disk of a VM as a snapshot keeps it. */

import { isCount, isFileName, isFlag, isListOf, isTable, isText } from "./believable.ts";
import type { DiskFault } from "./disk-faults.ts";
import type { SavedFile } from "./ports.ts";

export interface SavedDisk {
  readonly id: string;
  readonly readonly: boolean;
  readonly slot: number;
  readonly sizeBytes: number;
  /** Named in boot options, rather than attached by a call. */
  readonly fromBoot: boolean;
  /** Its content; or, of a disk that nobody can write, the image itself. */
  readonly content: SavedFile | { readonly image: string; readonly format: "raw" | "qcow2" };
  /** Those in force, as far as they were not used up. */
  readonly faults: readonly DiskFault[];
}

/** The file of its content, in the directory of the snapshot. */
export const diskFile = (id: string): string => `disk-${encodeURIComponent(id)}`;

const isContent = (content: unknown): boolean =>
  isTable(content) &&
  ("image" in content
    ? isText(content.image) && (content.format === "raw" || content.format === "qcow2")
    : isFileName(content.name) && isCount(content.bytes) && isText(content.checksum));

/** Whether it has the shape that `Disks.save` writes. */
export const isSavedDisk = (value: unknown): value is SavedDisk =>
  isTable(value) &&
  isText(value.id) &&
  [value.readonly, value.fromBoot].every(isFlag) &&
  [value.slot, value.sizeBytes].every(isCount) &&
  isContent(value.content) &&
  isListOf(value.faults, isTable);
