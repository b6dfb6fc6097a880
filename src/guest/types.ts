/**
 * File types as the kernel numbers them, in the words of the API. <linux/stat.h>, <dirent.h>.
 */

import type { EntryType } from "../lab/ports.ts";

/** By DT_*, which is S_IF* shifted right by 12. */
const BY_NUMBER: Readonly<Record<number, EntryType>> = {
  1: "fifo",
  2: "char_device",
  4: "directory",
  6: "block_device",
  8: "file",
  10: "symlink",
  12: "socket",
};

/** From `st_mode & S_IFMT`. */
export const typeOfMode = (mode: number): EntryType => BY_NUMBER[mode >> 12] ?? "other";

/** From `d_type`. */
export const typeOfEntry = (type: number): EntryType => BY_NUMBER[type] ?? "other";
