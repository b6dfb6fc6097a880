/** `provium doctor`: what this host offers, and what to do about the rest. Nothing here is needed by every test. */

import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { assetCache, assetPath } from "../assets/extract.ts";
import { formatSize } from "../config/units.ts";
import { chooseTransport, hostCpus, hostMemory } from "../dispatch/host.ts";
import { UsageError } from "../errors/errors.ts";
import { palette } from "../report/colours.ts";
import { visible } from "../report/text.ts";
import { RunDirectory, runBase } from "../sys/directory.ts";
import { chooseAcceleration } from "../vmm/accel.ts";
import { readArguments } from "./arguments.ts";
import { defaultGuest, foreignQemu, messageOf, ownQemu, virtiofsd } from "./doctor-guests.ts";
import { hostFindings, networkFinding } from "./doctor-host.ts";
import type { Finding } from "./finding.ts";
import { COMMON_FLAGS } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { accelerationHost, cacheDirectory } from "./machinery.ts";

const CAP_NET_ADMIN = 12n;

const programIn = (name: string): string | undefined => {
  for (const directory of [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin"]) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // Not here; the next directory may have it.
    }
  }
  return undefined;
};

const kvm = (directory: RunDirectory): Finding => {
  const what = "KVM";
  try {
    const host = accelerationHost(
      process.env,
      cacheDirectory(process.env, directory),
      assetPath("helper", directory.path),
    );
    const { accel, reason } = chooseAcceleration("auto", { ...host, anew: true });
    if (accel === "kvm") return { what, health: "good", found: "a virtual CPU has run" };
    const remedy = "load kvm-intel or kvm-amd and join the group kvm; until then QEMU emulates the CPU";
    return { what, health: "replaced", found: reason ?? "not usable", remedy };
  } catch (error) {
    return { what, health: "replaced", found: messageOf(error), remedy: "see QEMU above" };
  }
};

const vsock = (): Finding => {
  const { transport, reason } = chooseTransport("auto");
  if (transport === "vsock") return { what: "vsock", health: "good", found: "/dev/vhost-vsock opens" };
  const remedy = "modprobe vhost_vsock; until then a virtio-serial port carries the channel";
  return { what: "vsock", health: "replaced", found: reason ?? "not usable", remedy };
};

const program = (name: string, remedy: string): Finding => {
  const path = programIn(name);
  return path === undefined
    ? { what: name, health: "replaced", found: "not found", remedy }
    : { what: name, health: "good", found: path };
};

const netAdmin = (): Finding => {
  const what = "CAP_NET_ADMIN";
  const line = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"));
  const held = line !== null && ((BigInt(`0x${line[1]}`) >> CAP_NET_ADMIN) & 1n) === 1n;
  if (held) return { what, health: "good", found: "held" };
  return {
    what,
    health: "replaced",
    found: "not held",
    remedy: "setcap cap_net_admin,cap_net_raw=eip on the executable; until then user namespaces serve",
  };
};

/** What this host offers. */
export const examine = (): Finding[] => {
  using directory = RunDirectory.open(runBase(process.env));
  return [
    ownQemu(),
    kvm(directory),
    vsock(),
    ...foreignQemu(),
    defaultGuest(),
    virtiofsd(),
    netAdmin(),
    program("ip", "apt install iproute2"),
    program("tc", "apt install iproute2"),
    program("nft", "apt install nftables"),
    program("tcpdump", "apt install tcpdump; only captures to files for other tools want it"),
    networkFinding(assetPath("helper", directory.path), directory.path),
    {
      what: "pool",
      health: "good",
      found: `${formatSize(hostMemory())} of memory, ${hostCpus()} CPU(s) for machines and runners`,
    },
    ...hostFindings(runBase(process.env), assetCache(process.env)),
  ];
};

export const FLAGS = { help: COMMON_FLAGS.help } as const;

/** Exit status 0 unless something is missing that nothing replaces. */
export const doctor = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, { help: COMMON_FLAGS.help });
  if (args.has("help")) {
    const about =
      "Looks at this host and says what is there, what is replaced by something slower, and what to do.";
    process.stdout.write(
      renderHelp({ usage: ["provium doctor"], about, flags: { help: COMMON_FLAGS.help } }),
    );
    return 0;
  }
  if (args.words.length > 0)
    throw new UsageError(`doctor looks at the whole host; \`${args.words[0]}\` is one word too many`);
  const colour = palette(process.stdout, process.env);
  const mark = {
    good: colour.good("ok     "),
    plain: "note   ",
    replaced: colour.odd("instead"),
    missing: colour.bad("missing"),
  };
  const findings = examine();
  for (const { what, health, found, remedy } of findings) {
    process.stdout.write(`${mark[health]}  ${what.padEnd(14)} ${visible(found)}\n`);
    if (remedy !== undefined) process.stdout.write(`${" ".repeat(24)} ${colour.faint(remedy)}\n`);
  }
  return findings.some((finding) => finding.health === "missing") ? 1 : 0;
};
