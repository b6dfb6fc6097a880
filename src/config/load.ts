/** Loads `provium.toml`. Everything that the environment contributes is passed in. */

import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { ConfigError } from "../errors/errors.ts";
import { type Section, TomlDocument } from "./document.ts";
import { standingOverlay, upwards } from "./overlay.ts";
import { readProfileDirectory } from "./profile-directory.ts";
import { embeddedProfile, readProfiles } from "./profiles.ts";
import { readReporter } from "./reporters.ts";
import type { Config } from "./schema.ts";

type Profiles = Config["profiles"];

const DEFAULT_CACHE_BYTES = 20 * 2 ** 30;

export const ACCELS = ["auto", "kvm", "tcg"] as const;
export const TRANSPORTS = ["auto", "vsock", "serial"] as const;
const NETWORKS = ["auto", "kernel", "user"] as const;

const defaultCache = (environment: NodeJS.ProcessEnv): string =>
  join(environment.XDG_CACHE_HOME || join(environment.HOME || homedir(), ".cache"), "provium", "fixtures");

const expandHome = (path: string, environment: NodeJS.ProcessEnv): string =>
  path === "~" || path.startsWith("~/") ? join(environment.HOME || homedir(), path.slice(1)) : path;

/** The configuration of a project that has no file. */
export const defaultConfig = (directory: string, environment: NodeJS.ProcessEnv): Config => ({
  file: undefined,
  project: directory,
  roots: [],
  cacheDir: defaultCache(environment),
  cacheMaxSize: DEFAULT_CACHE_BYTES,
  cacheCompress: false,
  profiles: withOverlay({ default: embeddedProfile() }, directory, environment),
  warnings: [],
});

const readReporters = (section: Section): readonly string[] | undefined => {
  const texts = section.texts("reporters");
  for (const text of texts ?? []) {
    const wish = readReporter(text);
    if (typeof wish === "string") throw section.invalid("reporters", `provium.reporters: ${wish}`);
  }
  return texts;
};

/** The standing overlay is that of a profile which names none of its own. */
const withOverlay = (profiles: Profiles, project: string, environment: NodeJS.ProcessEnv): Profiles => {
  const overlay = standingOverlay(project, environment);
  if (overlay === undefined) return profiles;
  return Object.fromEntries(
    Object.entries(profiles).map(([name, profile]) => [
      name,
      { ...profile, agentOverlayPath: profile.agentOverlayPath ?? overlay },
    ]),
  );
};

const readSettings = (section: Section, directory: string, environment: NodeJS.ProcessEnv) => {
  const cacheDir = section.text("cache_dir");
  const settings = {
    roots: (section.texts("roots") ?? []).map((root) => resolve(directory, root)),
    cacheDir:
      cacheDir === undefined
        ? defaultCache(environment)
        : resolve(directory, expandHome(cacheDir, environment)),
    cacheMaxSize: section.size("cache_max_size") ?? DEFAULT_CACHE_BYTES,
    cacheCompress: section.boolean("cache_compress") ?? false,
    accel: section.oneOf("accel", ACCELS),
    transport: section.oneOf("transport", TRANSPORTS),
    network: section.oneOf("network", NETWORKS),
    runAs: section.text("run_as"),
    jobs: section.count("jobs", 1),
    retries: section.count("retries", 0),
    cpuPressure: section.number("cpu_pressure", 0, 100),
    memoryPressure: section.number("mem_pressure", 0, 100),
    timeoutMs: section.duration("timeout"),
    reporters: readReporters(section),
  };
  section.finish();
  return settings;
};

/** What a TOML text says. `file` is absolute; relative paths in it start at its directory. Throws `ConfigError`. */
export const parseConfig = (file: string, text: string, environment: NodeJS.ProcessEnv): Config => {
  const document = new TomlDocument(file, text);
  const directory = dirname(file);
  const settings = readSettings(document.root.section("provium"), directory, environment);
  const declared = readProfiles(document.root, directory);
  const more = readProfileDirectory(document.root, directory);
  document.root.finish();
  const profiles = { ...declared, ...Object.fromEntries(more.profiles.map((one) => [one.name, one])) };
  const warnings = [...document.warnings, ...more.warnings];
  return {
    file,
    project: directory,
    ...settings,
    profiles: withOverlay(profiles, directory, environment),
    warnings,
  };
};

const NAME = "provium.toml";

/**
 * The file of a run without `--config`: that of the working directory, else the nearest one at or above the first
 * path given. Undefined: there is none.
 */
const findConfig = (directory: string, paths: readonly string[]): string | undefined => {
  const places = [
    directory,
    ...(paths[0] === undefined ? [] : upwards(resolve(directory, paths[0]), directory)),
  ];
  return places.map((place) => join(place, NAME)).find((file) => existsSync(file));
};

/** The configuration of a run: `named` (what `--config` says, must exist), else what is found. Throws `ConfigError`. */
export const loadConfig = (
  named: string | undefined,
  directory: string,
  paths: readonly string[] = [],
  environment: NodeJS.ProcessEnv = process.env,
): Config => {
  const file = named === undefined ? findConfig(directory, paths) : resolve(directory, named);
  if (file === undefined) return defaultConfig(directory, environment);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new ConfigError(`read \`${file}\`: ${message.split(",")[0]}`, {
      hint: code === "ENOENT" ? "name an existing file with --config, or leave the flag out" : undefined,
    });
  }
  return parseConfig(file, text, environment);
};
