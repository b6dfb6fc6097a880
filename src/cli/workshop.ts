/** What a run works with on this host: programs, acceleration, boot artefacts, runners, the cache of fixtures. */

import { join } from "node:path";
import { isCompiled } from "../assets/embedded.ts";
import { assetPath } from "../assets/extract.ts";
import type { Surroundings } from "../dispatch/dispatcher.ts";
import type { FixturePlan } from "../dispatch/fixture-plan.ts";
import { defaultJobs, type Machinery, poolSize } from "../dispatch/host.ts";
import { runnerStarter, type StartRunner } from "../dispatch/runner-process.ts";
import type { EventStream } from "../events/stream.ts";
import type { ResourceAmount } from "../events/types.ts";
import type { Places } from "../fixture/names.ts";
import type { Job } from "../runner/protocol.ts";
import { foreignHand } from "../sys/custody.ts";
import type { RunDirectory } from "../sys/directory.ts";
import { identityOf } from "../sys/identity.ts";
import { bootService, guestProfiles } from "./boot.ts";
import { fixturePlan } from "./fixture-plan.ts";
import { accelerationHost, machineryOf } from "./machinery.ts";
import type { RunOptions } from "./options.ts";

/** Megabytes that the Lua state of one file may hold. */
const LUA_MEMORY_MB = 512;

/** The command line of a runner: this program again, behind the helper that ties its life to ours. */
const runnerCommand = (helper: string): string[] => {
  const self = isCompiled() ? [process.execPath] : [process.execPath, join(import.meta.dir, "../main.ts")];
  return [helper, "exec", "--parent", String(process.pid), "--", ...self];
};

/** Where a run stands. */
export interface Site extends Places {
  readonly directory: RunDirectory;
  /** Where things are kept from run to run. */
  readonly cacheDir: string;
}

export interface Workshop {
  readonly settled: Machinery;
  /** Files at a time. */
  readonly jobs: number;
  readonly pool: ResourceAmount;
  readonly boot: Surroundings["boot"];
  readonly startRunner: StartRunner;
  /** Absent where machines cannot be snapshotted. */
  readonly fixtures: FixturePlan | undefined;
  /** Everything about a file's job but its directory. */
  job(file: Pick<Job, "file" | "path" | "dialect">): Omit<Job, "directory">;
}

/** The directory of fixtures; the run's own where others could have put something into that of the configuration. */
const fixtureCache = (wanted: string, directory: RunDirectory, warn: (text: string) => void): string => {
  const reason = foreignHand(wanted);
  if (reason === undefined) return wanted;
  warn(`the fixture cache \`${wanted}\` is not used: ${reason}; fixtures are built for this run alone`);
  return join(directory.path, "fixtures");
};

/** Says what it finds as notices. Throws `HostError` for what was asked for and cannot be had. */
export const openWorkshop = (
  options: RunOptions,
  environment: NodeJS.ProcessEnv,
  { directory, cacheDir, roots, project }: Site,
  stream: EventStream,
): Workshop => {
  const assets = {
    agent: assetPath("agent", directory.path, environment),
    wrapper: assetPath("wrapper", directory.path, environment),
    helper: assetPath("helper", directory.path, environment),
  };
  const runAs = options.vmm === "qemu" && options.runAs !== undefined ? identityOf(options.runAs) : undefined;
  const settled = machineryOf(options, accelerationHost(environment, cacheDir, assets.helper, runAs));
  if (options.preflight !== "off")
    for (const text of settled.notices) stream.emit("notice", { level: "info", text });
  const profiles = guestProfiles(options.config.profiles);
  const { accel, transport } = settled;
  const jobs = options.jobs ?? defaultJobs();
  const job: Workshop["job"] = ({ file, path, dialect }) => ({
    file,
    path,
    dialect,
    roots,
    project,
    profiles,
    filter: options.tests,
    vmm: options.vmm,
    accel,
    runAs,
    transport,
    seed: options.seed,
    network: options.network,
    operations: options.output.operations,
    timeoutMs: options.timeoutMs,
    luaMemoryMb: LUA_MEMORY_MB,
    assets,
  });
  return {
    settled,
    jobs,
    pool: poolSize(options.memoryBytes, options.cpus, options.cpuOvercommit),
    boot: bootService(
      { assets, cacheDir },
      options.vmm === "qemu" ? { profiles, accel, transport } : undefined,
    ),
    startRunner: runnerStarter(runnerCommand(assets.helper), environment),
    fixtures:
      options.vmm === "qemu"
        ? fixturePlan(
            {
              ...options.config,
              cacheDir: fixtureCache(options.config.cacheDir, directory, (text) =>
                stream.emit("notice", { level: "warning", text }),
              ),
            },
            { places: { roots, project }, profiles, accel, transport, assets, environment, jobs },
            job,
          )
        : undefined,
    job,
  };
};
