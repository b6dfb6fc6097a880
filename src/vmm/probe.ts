/** Runs a firmware image of ours (probe-rom.ts) to see what a virtual CPU does with it. */

import { closeFd } from "../sys/libc.ts";
import { memoryFile } from "../sys/memory-file.ts";
import type { Op } from "../sys/op.ts";
import { Reactor } from "../sys/reactor.ts";
import { Enquiry, type EnquiryHost, LENT } from "./enquiry.ts";
import type { Probe } from "./probe-rom.ts";

export interface ProbeHost extends EnquiryHost {
  /** Where answers are kept between runs. */
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
  // A file with a name would be somebody else's too, in two containers that share a cache and its process ids.
  const rom = memoryFile(image(), "probe");
  let enquiry: Enquiry | undefined;
  try {
    enquiry = Enquiry.start(program, [...machine, ...cpu, "-m", "16M", "-bios", LENT], host, reactor, rom);
    return reactor.run(judge(enquiry));
  } finally {
    enquiry?.close();
    closeFd(rom);
  }
};
