/**
 * The clock of emulated guests. Their time stamp counter is the host's, and Linux measures its rate against the
 * emulated PIT while it boots. On a busy host that goes wrong (seen: one boot in eight, clocks up to 16 times too
 * fast for good), so the kernel is told the rate. It still refines the value itself after a second.
 */

import { execFile } from "node:child_process";

/** The rate of this host's counter in kHz, undefined where it cannot be had. Takes 20 ms. */
export const measureTsc = (helper: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    execFile(helper, ["tsc"], { timeout: 5000 }, (error, stdout) => {
      const khz = Number(stdout);
      resolve(
        error === null && Number.isInteger(khz) && khz >= 100_000 && khz < 100_000_000 ? khz : undefined,
      );
    });
  });

/**
 * Kernel parameters that tell the rate, unless the command line has its own word about the counter. `tsc=reliable`
 * keeps the kernel from mistrusting a counter that only its vCPU's pauses make look uneven.
 */
export const tscWords = (khz: number | undefined, cmdline: string): string =>
  khz === undefined || /(^|\s)(tsc|tsc_early_khz|clocksource)=|(^|\s)notsc(\s|$)/.test(cmdline)
    ? ""
    : `tsc_early_khz=${khz} tsc=reliable`;
