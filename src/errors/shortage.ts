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

/** The failure that `error` stands for, if it says that the host has run out of something. */
export const shortageOf = (error: unknown): HostError | undefined => {
  if (!(error instanceof Error) || error instanceof ProviumError) return undefined;
  const shortage = SHORTAGES[(error as NodeJS.ErrnoException).code ?? ""];
  return shortage && new HostError(shortage[0], { cause: error, hint: shortage[1] });
};
