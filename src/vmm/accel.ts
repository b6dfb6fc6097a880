/**
 * Which acceleration this host really has. `/dev/kvm` that opens proves nothing: some nested hosts open it and
 * then never run a virtual CPU. So a tiny machine is started with KVM, and only if its 64-bit code has come
 * back within a second is KVM used. The answer holds until the host boots again and is kept in a file.
 */

import { accessSync, constants, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { HostError, ProviumError } from "../errors/errors.ts";
import { HOST_ARCHITECTURE } from "../sys/architecture.ts";
import { after, type Op } from "../sys/op.ts";
import { writeWhole } from "../sys/whole-file.ts";
import type { Enquiry } from "./enquiry.ts";
import { type ProbeHost, probing } from "./probe.ts";
import { PROBES } from "./probe-rom.ts";
import { findQemu } from "./program.ts";

export type Accelerator = "kvm" | "tcg";

export interface AccelerationHost extends ProbeHost {
  /** Changes with each boot of the host: /proc/sys/kernel/random/boot_id. */
  readonly bootId: string;
  /** `/dev/kvm`, unless a test has another. */
  readonly device?: string;
}

export interface Acceleration {
  readonly accel: Accelerator;
  /** Why not KVM, in one line for people; undefined with KVM and when TCG was asked for. */
  readonly reason: string | undefined;
}

/** The time a virtual CPU has to come back, and QEMU to get ready for it. */
const RUN_MS = 1_000;
const START_MS = 10_000;
const CACHE_PREFIX = "accel-";
const PROBE = PROBES[HOST_ARCHITECTURE];

/**
 * Settles `--accel`. Blocks for a second at most once per boot of the host. `kvm` that does not work is a
 * `HostError`; a missing QEMU is one too.
 */
export const chooseAcceleration = (wanted: "auto" | Accelerator, host: AccelerationHost): Acceleration => {
  if (wanted === "tcg") return { accel: "tcg", reason: undefined };
  const fault = kvmFault(host);
  if (fault === undefined) return { accel: "kvm", reason: undefined };
  if (wanted === "kvm")
    throw new HostError(`KVM cannot be used: ${fault}`, {
      hint: "use --accel auto or --accel tcg: QEMU then emulates the CPU, which is slower",
    });
  return { accel: "tcg", reason: `${fault}: using TCG` };
};

const kvmFault = (host: AccelerationHost): string | undefined => {
  const device = host.device ?? "/dev/kvm";
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
  } catch (error) {
    // Not kept: a module loaded or a group joined changes it within the same boot.
    const code = (error as NodeJS.ErrnoException).code;
    return code === "ENOENT" ? `there is no ${device}` : `${device} cannot be opened (${code})`;
  }
  const known = remembered(host);
  if (known !== undefined) return known.fault;
  const fault = tryKvm(host);
  remember(host, fault);
  return fault;
};

const cacheFile = (host: AccelerationHost): string =>
  join(
    host.cacheDir,
    `${CACHE_PREFIX}${host.bootId}${host.user === undefined ? "" : `-as-${host.user.uid}`}`,
  );

/** The file holds one line: the fault, or nothing when KVM works. A file without a line is no answer. */
const remembered = (host: AccelerationHost): { readonly fault: string | undefined } | undefined => {
  try {
    const text = readFileSync(cacheFile(host), "utf8");
    if (!text.endsWith("\n")) return undefined;
    return { fault: text.trim() === "" ? undefined : text.trim() };
  } catch {
    return undefined;
  }
};

const remember = (host: AccelerationHost, fault: string | undefined): void => {
  try {
    writeWhole(cacheFile(host), `${fault ?? ""}\n`);
    for (const name of readdirSync(host.cacheDir))
      if (name.startsWith(CACHE_PREFIX) && !name.startsWith(`${CACHE_PREFIX}${host.bootId}`))
        rmSync(join(host.cacheDir, name), { force: true });
  } catch {
    // A cache that cannot be written costs the next run a second, nothing else.
  }
};

/** Runs the probe machine; what is wrong with KVM, or undefined. */
const tryKvm = (host: AccelerationHost): string | undefined =>
  probing(findQemu(host.env), PROBE, ["-accel", "kvm", "-cpu", "host"], host, verdict);

/** The machine starts stopped, so that the second counts the CPU's time and not QEMU's start. */
function* verdict({ child, qmp }: Enquiry): Op<string | undefined> {
  const deadline = after(START_MS);
  try {
    yield* qmp.open(deadline);
    const run = after(RUN_MS);
    yield* qmp.execute("cont", undefined, run);
    yield* child.wait(run);
  } catch (error) {
    // QEMU that has ended closes its monitor first: its exit tells more.
    if (!(error instanceof ProviumError)) throw error;
    yield* child.wait(after(RUN_MS));
  }
  if (child.exit === undefined) return "KVM opens but a virtual CPU did not come back within 1 s";
  if (child.exit.how === "exited" && child.exit.code === PROBE.proof) return undefined;
  const said = child.output().trim().split("\n")[0] ?? "";
  return `KVM opens but QEMU could not run a virtual CPU${said === "" ? "" : ` (${said.replace(/^\S*qemu-system-\S+: /, "")})`}`;
}
