/**
 * Which acceleration this host really has. `/dev/kvm` that opens proves nothing: some nested hosts open it and
 * then never run a virtual CPU. So a tiny machine is started with KVM, and only if its 64-bit code has come
 * back within a second is KVM used. The answer holds until the host boots again and is kept in a file; what QEMU
 * says itself at once is not kept, as another hypervisor that has the CPU's extensions may end.
 */

import { accessSync, constants, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { HostError, ProviumError } from "../errors/errors.ts";
import { HOST_ARCHITECTURE } from "../sys/architecture.ts";
import { cpuMsOf, wantsProcessor } from "../sys/cpu-time.ts";
import { after, type Deadline, monotonic, type Op } from "../sys/op.ts";
import type { Child } from "../sys/process.ts";
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
  /** Looks again where KVM is remembered not to work. */
  readonly anew?: boolean;
}

export interface Acceleration {
  readonly accel: Accelerator;
  /** Why not KVM, in one line for people; undefined with KVM and when TCG was asked for. */
  readonly reason: string | undefined;
}

/** The time that a virtual CPU has to come back, and how often is looked. */
const RUN_MS = 1_000;
const LOOK_MS = 50;
/** The time that QEMU has to get ready, and to wait for a processor. */
const PATIENCE_MS = 10_000;
const CACHE_PREFIX = "accel-";
const PROBE = PROBES[HOST_ARCHITECTURE];
const HANGS = "KVM opens but a virtual CPU did not come back within 1 s";

/**
 * Settles `--accel`. Blocks for a second at most once per boot of the host, longer where its processors are taken.
 * `kvm` that does not work is a `HostError`, and is never taken from memory; a missing QEMU is one too.
 */
export const chooseAcceleration = (wanted: "auto" | Accelerator, host: AccelerationHost): Acceleration => {
  if (wanted === "tcg") return { accel: "tcg", reason: undefined };
  const fault = kvmFault({ ...host, anew: host.anew === true || wanted === "kvm" });
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
  if (known !== undefined && (known.fault === undefined || host.anew !== true)) return known.fault;
  const fault = tryKvm(host);
  if (fault === undefined || fault === HANGS) remember(host, fault);
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

function* verdict({ child, qmp }: Enquiry): Op<string | undefined> {
  const end = after(PATIENCE_MS);
  try {
    yield* qmp.open(end);
    // The machine starts stopped, so that the second counts the CPU's time and not QEMU's start.
    qmp.post("cont", {});
    yield* allowed(child, end);
  } catch (error) {
    // QEMU that has ended closes its monitor first: its exit tells more.
    if (!(error instanceof ProviumError)) throw error;
    yield* child.wait(after(RUN_MS));
    if (child.exit === undefined) return `QEMU with KVM did not answer: ${error.message}`;
  }
  if (child.exit === undefined)
    return monotonic() < end ? HANGS : "KVM opens but this host is too busy to try a virtual CPU";
  if (child.exit.how === "exited" && child.exit.code === PROBE.proof) return undefined;
  const said = child.output().trim().split("\n")[0] ?? "";
  return `KVM opens but QEMU could not run a virtual CPU${said === "" ? "" : ` (${said.replace(/^\S*qemu-system-\S+: /, "")})`}`;
}

/** Gives the virtual CPU its second: of a processor if it wants one, as those of a busy host are taken. */
function* allowed(child: Child, end: Deadline): Op<void> {
  const before = cpuMsOf(child.pid) ?? 0;
  const used = (): number => (cpuMsOf(child.pid) ?? 0) - before;
  let wanted = monotonic();
  while (child.exit === undefined && used() < RUN_MS && monotonic() < Math.min(wanted + RUN_MS, end)) {
    yield* child.wait(after(LOOK_MS));
    if (wantsProcessor(child.pid)) wanted = monotonic();
  }
}
