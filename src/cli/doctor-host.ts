/** What `provium doctor` looks at beyond programs and devices: the kernel, places, the project. */

import { accessSync, constants, existsSync, readFileSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { loadConfig } from "../config/load.ts";
import { formatSize } from "../config/units.ts";
import { readPressure } from "../dispatch/pressure.ts";
import { renderError } from "../errors/render.ts";
import { FEATURE_MODULES, probeFeatures } from "../net/kernel-features.ts";
import { Namespace } from "../net/namespace.ts";
import { foreignHand } from "../sys/custody.ts";
import { Reactor } from "../sys/reactor.ts";
import { messageOf } from "./doctor-guests.ts";
import type { Finding } from "./finding.ts";

/** Machines, their logs and their disks want so much room. */
const LITTLE_ROOM = 2 ** 30;

/** What carries frames of bridges: the kernel where it can do everything. */
export const networkFinding = (helper: string, directory: string): Finding => {
  const what = "bridges";
  const remedy = "bridges work all the same, on the userland switch";
  const reactor = new Reactor();
  const env = { ...process.env, PATH: `${process.env.PATH ?? "/usr/bin:/bin"}:/usr/sbin:/sbin` };
  try {
    return reactor.run(
      (function* () {
        const namespace = yield* Namespace.open({ reactor, env, helper, directory });
        try {
          const { missing } = yield* probeFeatures(namespace);
          if (missing.length === 0)
            return { what, health: "good", found: "the kernel's, in a namespace of its own" };
          const found = `no ${missing.map((feature) => FEATURE_MODULES[feature]).join(", no ")}`;
          return { what, health: "replaced", found, remedy };
        } finally {
          namespace.close();
        }
      })(),
    );
  } catch (error) {
    return { what, health: "replaced", found: messageOf(error).split("\n")[0] as string, remedy };
  }
};

const readable = (file: string): string | undefined => {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
};

const pressure = (): Finding => {
  const now = readPressure();
  return now === undefined
    ? {
        what: "pressure",
        health: "plain",
        found: "the kernel does not tell (/proc/pressure)",
        remedy: "boot it with psi=1, so that runs hold back while the host is busy",
      }
    : {
        what: "pressure",
        health: "good",
        found: `CPU ${now.cpu} %, memory ${now.memory} % of the last ten seconds`,
      };
};

const ksm = (): Finding => {
  const run = readable("/sys/kernel/mm/ksm/run");
  const found =
    run === undefined ? "not in this kernel" : run === "1" ? "merges equal pages" : "off; --ksm turns it on";
  return { what: "ksm", health: "plain", found };
};

const isRoom = (directory: string): string => {
  for (let at = directory; ; at = dirname(at)) if (existsSync(at) || at === dirname(at)) return at;
};

const place = (what: string, directory: string, remedy: string): Finding => {
  const at = isRoom(directory);
  try {
    accessSync(at, constants.W_OK);
    const { bavail, bsize } = statfsSync(at);
    const room = bavail * bsize;
    const found = `${directory}, ${formatSize(room)} free`;
    return room < LITTLE_ROOM ? { what, health: "plain", found, remedy } : { what, health: "good", found };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { what, health: "replaced", found: `${directory} cannot be written (${code})`, remedy };
  }
};

const cachePlace = (directory: string): Finding => {
  const remedy =
    "make it writable, for you alone: without it boots and fixtures are prepared anew in each run";
  const reason = foreignHand(directory);
  return reason === undefined
    ? place("cache", directory, remedy)
    : { what: "cache", health: "replaced", found: `${directory} is not used: ${reason}`, remedy };
};

/** What `provium.toml` here says, and whether the files of its profiles are there. */
const project = (): Finding[] => {
  try {
    const { file, profiles, warnings } = loadConfig(undefined, process.cwd());
    if (file === undefined)
      return [{ what: "project", health: "plain", found: "no provium.toml here; `provium init` makes one" }];
    const findings: Finding[] = [{ what: "project", health: "good", found: file }];
    for (const text of warnings) findings.push({ what: "project", health: "plain", found: text });
    for (const { name, kernel, initrd, disk, root, build } of Object.values(profiles))
      for (const path of [kernel, initrd, disk?.path, root?.path])
        if (path !== undefined && !existsSync(path))
          findings.push({
            what: "project",
            health: build === undefined ? "replaced" : "plain",
            found: `profile \`${name}\`: ${path} is not there`,
            remedy: build === undefined ? "correct provium.toml" : `\`provium prepare ${name}\` builds it`,
          });
    return findings;
  } catch (error) {
    return [
      { what: "project", health: "replaced", found: renderError(error), remedy: "correct provium.toml" },
    ];
  }
};

/** Everything here but the network, which needs programs of ours. */
export const hostFindings = (runs: string, cache: string | undefined): Finding[] => [
  pressure(),
  ksm(),
  place("runs", runs, "set PROVIUM_TMPDIR to a directory with more room"),
  cache === undefined
    ? { what: "cache", health: "plain", found: "no place for one: HOME is not set" }
    : cachePlace(join(cache, "..")),
  ...project(),
];
