/** What a host can run out of under any call of ours. Such a failure is no bug, wherever it comes from. */

import { HostError, ProviumError } from "./errors.ts";

/** By the code of the system call's error: errno(3). */
const SHORTAGES: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  EMFILE: ["this process may open no more files", "Raise the limit of open files (ulimit -n)."],
  ENFILE: ["this host can open no more files", "Raise fs.file-max, or run fewer tests at once (--jobs)."],
  ENOSPC: ["no space is left on a disk of this host", "Make room, or set PROVIUM_TMPDIR to another disk."],
  EDQUOT: ["a disk quota on this host is used up", "Make room, or set PROVIUM_TMPDIR to another disk."],
  ENOMEM: ["this host gives no more memory", "Run fewer tests at once (--jobs), or smaller machines."],
};

const shortageAt = (error: unknown): (typeof SHORTAGES)[string] | undefined =>
  SHORTAGES[String((error as NodeJS.ErrnoException | undefined)?.code)];

/** The failure that `error` stands for, if it says that the host has run out of something. */
export const shortageOf = (error: unknown): HostError | undefined => {
  const shortage = error instanceof ProviumError ? undefined : shortageAt(error);
  return shortage && new HostError(shortage[0], { cause: error, hint: shortage[1] });
};

/** Whether an error, or one that led to it, says so: nothing is wrong with what could not be read then. */
export const isShortage = (error: unknown): boolean =>
  shortageAt(error) !== undefined ||
  (error instanceof Error && error.cause !== undefined && isShortage(error.cause));
