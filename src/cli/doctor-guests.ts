/** What `provium doctor` says of guests: the programs that run them, and what the executable carries. */

import { assetNames } from "../assets/embedded.ts";
import { guestAsset } from "../assets/guests.ts";
import { ARCHITECTURES, type Architecture, HOST_ARCHITECTURE } from "../sys/architecture.ts";
import { Reactor } from "../sys/reactor.ts";
import { BOARDS } from "../vmm/architecture.ts";
import { limits } from "../vmm/capabilities.ts";
import { askCapabilities } from "../vmm/introspection.ts";
import { findQemu } from "../vmm/program.ts";
import { findVirtiofsd } from "../vmm/virtiofsd.ts";
import type { Finding } from "./finding.ts";

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What it says of itself: its version, and what it cannot do. */
const installedQemu = (architecture: Architecture): Pick<Finding, "health" | "found" | "remedy"> => {
  const path = findQemu(process.env, architecture);
  const child = Bun.spawnSync([path, "--version"], { stderr: "ignore" });
  const found = `${child.stdout.toString().split("\n")[0]} (${path})`;
  const reactor = new Reactor();
  const asked = reactor.run(askCapabilities(path, BOARDS[architecture], { env: process.env }, reactor));
  const lacks = limits(asked);
  if (lacks.length === 0) return { health: "good", found };
  return { health: "plain", found, remedy: `it has ${lacks.join(", ")}; a newer one has it all` };
};

/** QEMU for guests of the host's own architecture. */
export const ownQemu = (): Finding => {
  const what = "QEMU";
  try {
    return { what, ...installedQemu(HOST_ARCHITECTURE) };
  } catch (error) {
    const { packages, variable } = BOARDS[HOST_ARCHITECTURE];
    const remedy = `${packages}; or set ${variable}; until then only --vmm local runs`;
    return { what, health: "missing", found: messageOf(error), remedy };
  }
};

/** QEMU for all others; also says where this executable has no agent for them. */
export const foreignQemu = (): Finding[] =>
  ARCHITECTURES.filter((architecture) => architecture !== HOST_ARCHITECTURE).map((architecture) => {
    const what = `QEMU ${architecture}`;
    try {
      const found = installedQemu(architecture);
      if (guestAsset("agent", architecture) !== undefined) return { what, ...found };
      return { what, ...found, health: "plain", remedy: "this executable carries no agent for its guests" };
    } catch (error) {
      const remedy = `${BOARDS[architecture].packages}; only profiles with arch = "${architecture}" want it`;
      return { what, health: "plain", found: messageOf(error), remedy };
    }
  });

/** The guest that the executable carries. */
export const defaultGuest = (): Finding => {
  const what = "default guest";
  if (assetNames("guest/").length > 0) return { what, health: "good", found: "embedded" };
  const remedy =
    "declare a profile with a kernel in provium.toml, or use an executable built with GUEST=default";
  return { what, health: "missing", found: "not embedded", remedy };
};

export const virtiofsd = (): Finding => {
  const what = "virtiofsd";
  try {
    const path = findVirtiofsd(process.env);
    if (path !== undefined) return { what, health: "good", found: path };
    const remedy = "the package virtiofsd, Debian 12: qemu-system-common; only profiles with a root want it";
    return { what, health: "plain", found: "not found", remedy };
  } catch (error) {
    return { what, health: "plain", found: messageOf(error), remedy: "correct the variable" };
  }
};
