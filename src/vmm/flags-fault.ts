/**
 * Whether this QEMU emulates CMPXCHG8B and CMPXCHG16B with a fault: some leave another operand's bits in the flags until
 * the next instruction sets them. An interrupt in between saves and restores them, and among them is the trap flag. Linux
 * allocates memory with CMPXCHG16B. Where it branches right behind it, as 6.12 does, it dies of "Fatal exception in
 * interrupt", sooner or later. Found out by running the instruction: who has mended it where, no version tells.
 */

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ProviumError } from "../errors/errors.ts";
import { after, type Op } from "../sys/op.ts";
import type { ProcessExit } from "../sys/process.ts";
import { writeWhole } from "../sys/whole-file.ts";
import type { Enquiry } from "./enquiry.ts";
import { type ProbeHost, probing } from "./probe.ts";
import { FLAGS_PROBE } from "./probe-rom.ts";
import { findQemu } from "./program.ts";

const RUN_MS = 20_000;

/** Looks once at each QEMU for PCs and keeps the answer. One that does not answer is taken to have the fault. */
export const hasFlagsFault = (host: ProbeHost): boolean => {
  const program = findQemu(host.env, "x86_64");
  const { dev, ino, size, mtimeMs } = statSync(program);
  const kept = join(
    host.cacheDir,
    `flags-${Bun.hash([program, dev, ino, size, mtimeMs].join()).toString(36)}`,
  );
  try {
    const answer = readFileSync(kept, "utf8");
    // Of a disk that was full there may be a file without an answer.
    if (answer === "fault" || answer === "none") return answer === "fault";
  } catch {
    // Not looked at yet.
  }
  const exit = probing(program, FLAGS_PROBE, ["-accel", "tcg", "-cpu", "max"], host, ended);
  const fault = exit?.how !== "exited" || exit.code !== FLAGS_PROBE.proof;
  try {
    writeWhole(kept, fault ? "fault" : "none");
  } catch {
    // A cache that cannot be written costs the next run a tenth of a second, nothing else.
  }
  return fault;
};

function* ended({ child, qmp }: Enquiry): Op<ProcessExit | undefined> {
  const deadline = after(RUN_MS);
  try {
    yield* qmp.open(deadline);
    qmp.post("cont", {});
  } catch (error) {
    if (!(error instanceof ProviumError)) throw error;
  }
  return yield* child.wait(deadline);
}
