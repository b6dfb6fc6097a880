/** Keeps a kernel off an instruction that its emulator gets wrong (src/vmm/flags-fault.ts). */

/** X86_FEATURE_CX16 of Linux, word 4, bit 13: names are understood since Linux 5.18 only. */
const CX16 = 4 * 32 + 13;

/** The word for the command line. Programs in the guest still see the feature, and may want it. */
export const flagsFaultWords = (cmdline: string): string =>
  /(^|\s)clearcpuid=/.test(cmdline) ? "" : `clearcpuid=${CX16}`;

/**
 * Whether an embedded guest with a kernel of this release does without: Debian 12's sets the flags anew before an interrupt
 * can come, as its machine code shows. An executable that was built elsewhere has another kernel.
 */
export const standsFlagsFault = (release: string): boolean => release.startsWith("6.1.");
