/** Where a run's fixtures are kept, and what their keys are made of on this host. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { guestAsset } from "../assets/guests.ts";
import type { Config, Profile } from "../config/schema.ts";
import type { FixturePlan } from "../dispatch/fixture-plan.ts";
import { runnerMemory } from "../dispatch/host.ts";
import { FileHashes } from "../fixture/hashes.ts";
import type { Places } from "../fixture/names.ts";
import { Store } from "../fixture/store.ts";
import { dialectOf } from "../runner/dialect.ts";
import type { Job } from "../runner/protocol.ts";
import { type Architecture, HOST_ARCHITECTURE } from "../sys/architecture.ts";
import { findQemu } from "../vmm/program.ts";

export interface FixtureHost {
  readonly places: Places;
  readonly profiles: Readonly<Record<string, Profile>>;
  readonly accel: "kvm" | "tcg";
  readonly transport: "vsock" | "serial";
  readonly assets: { readonly agent: string; readonly wrapper: string };
  readonly environment: NodeJS.ProcessEnv;
  readonly jobs: number;
}

/** With KVM a guest sees the host's CPU, and its snapshot fits no other. */
const cpuModel = (): string => {
  try {
    const text = readFileSync("/proc/cpuinfo", "utf8");
    return ["model name", "flags"].map((key) => new RegExp(`^${key}\\s*:.*$`, "m").exec(text)?.[0]).join();
  } catch {
    return "unknown";
  }
};

const qemuOf = (environment: NodeJS.ProcessEnv, architecture?: Architecture): string | undefined => {
  try {
    return findQemu(environment, architecture);
  } catch {
    // Whoever boots hears of it.
    return undefined;
  }
};

const machineryOf = async (host: FixtureHost, hashes: FileHashes): Promise<readonly string[]> => {
  const qemu = qemuOf(host.environment);
  return [
    process.arch,
    host.accel,
    host.transport,
    host.accel === "kvm" ? cpuModel() : "",
    await hashes.of(host.assets.agent),
    await hashes.of(host.assets.wrapper),
    qemu === undefined ? "no qemu" : await hashes.of(qemu),
  ];
};

/** What stands in for the machinery of this host's own guests where a profile has those of another architecture. */
const foreignMachinery = async (
  architecture: Architecture,
  environment: NodeJS.ProcessEnv,
  hashes: FileHashes,
): Promise<readonly string[]> => {
  if (architecture === HOST_ARCHITECTURE) return [];
  const qemu = qemuOf(environment, architecture);
  const programs = ["agent", "wrapper"].map((name) => guestAsset(name, architecture) ?? new Uint8Array());
  return [qemu === undefined ? "no qemu" : await hashes.of(qemu), ...programs.map((bytes) => sha256(bytes))];
};

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Everything about a profile that ends up in a machine, files by their content. */
const identityOf = async (
  profile: Profile,
  environment: NodeJS.ProcessEnv,
  hashes: FileHashes,
): Promise<string> => {
  const { kernel, initrd, agentOverlayPath, modules, ...plain } = profile;
  const files = [kernel, initrd, agentOverlayPath, profile.disk?.path];
  const contents: string[] = [];
  if (modules === "auto" || modules === "none") contents.push(modules);
  else files.push(join(modules, "modules.dep"));
  for (const file of files) contents.push(file === undefined ? "none" : await hashes.of(file));
  const { architecture } = profile;
  const embedded = profile.origin === "embedded" ? guestAsset("guest/manifest", architecture) : undefined;
  const guest = embedded === undefined ? "" : new TextDecoder().decode(embedded);
  const sorted = Object.entries(plain).sort(([a], [b]) => (a < b ? -1 : 1));
  const foreign = await foreignMachinery(architecture, environment, hashes);
  return JSON.stringify([sorted, contents, guest, foreign]);
};

const remembered = <T>(work: (name: string) => Promise<T>): ((name: string) => Promise<T>) => {
  const known = new Map<string, Promise<T>>();
  return (name) => {
    let value = known.get(name);
    if (value === undefined) {
      value = work(name);
      known.set(name, value);
    }
    return value;
  };
};

export const fixturePlan = (
  config: Config,
  host: FixtureHost,
  job: (file: Pick<Job, "file" | "path" | "dialect">) => Omit<Job, "directory">,
): FixturePlan => {
  const hashes = new FileHashes(join(config.cacheDir, "hashes.json"));
  const machinery = remembered(() => machineryOf(host, hashes));
  const profile = remembered(async (name) => {
    const found = Object.hasOwn(host.profiles, name) ? host.profiles[name] : undefined;
    return found && identityOf(found, host.environment, hashes);
  });
  return {
    store: new Store(config.cacheDir, config.cacheMaxSize),
    keys: {
      places: host.places,
      hashes,
      machinery: () => machinery(""),
      profile,
      environment: host.environment,
    },
    compress: config.cacheCompress,
    job: (file, path) => job({ file, path, dialect: dialectOf(readFileSync(file, "utf8"), file) }),
    ahead: host.jobs,
    runnerMemory: runnerMemory(),
  };
};
