/**
 * File types as the kernel numbers them, in the words of the API. <linux/stat.h>, <dirent.h>.
 */

import type { EntryType } from "../lab/ports.ts";

const BY_MODE: Readonly<Record<number, EntryType>> = {
  2401: "fifo",
  4802: "char_device",
  9604: "directory",
  14406: "block_device",
  16807: "file",
  21609: "symlink",
  26411: "socket",
};

/** From `st_mode & S_IFMT`. */
export const typeOfMode = (mode: number): EntryType => BY_MODE[mode] ?? "other";

/** From `d_type`, which is the same number shifted: DT_REG is S_IFREG >> 12. */
export const typeOfEntry = (type: number): EntryType => BY_MODE[type << 12] ?? "other";
