/** Runs a firmware image of ours (probe-rom.ts) to see what a virtual CPU does with it. */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Op } from "../sys/op.ts";
import { Reactor } from "../sys/reactor.ts";
import { Enquiry, type EnquiryHost } from "./enquiry.ts";
import type { Probe } from "./probe-rom.ts";

export interface ProbeHost extends EnquiryHost {
  /** Where the image stands meanwhile, and answers are kept between runs. */
  readonly cacheDir: string;
}

/** Starts `program` stopped with the image; `judge` lets it run. Blocks until it has judged. */
export const probing = <T>(
  program: string,
  { image, machine }: Probe,
  cpu: readonly string[],
  host: ProbeHost,
  judge: (enquiry: Enquiry) => Op<T>,
): T => {
  const reactor = new Reactor();
  const rom = join(host.cacheDir, `probe-${process.pid}.rom`);
  mkdirSync(host.cacheDir, { recursive: true });
  writeFileSync(rom, image());
  let enquiry: Enquiry | undefined;
  try {
    enquiry = Enquiry.start(program, [...machine, ...cpu, "-m", "16M", "-bios", rom], host, reactor);
    return reactor.run(judge(enquiry));
  } finally {
    enquiry?.close();
    rmSync(rom, { force: true });
  }
};
