/** The build commands of profiles: run before the first machine of a run boots, once each. */

import { mkdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Profile } from "../config/schema.ts";
import { ConfigError, HostError, InterruptedError } from "../errors/errors.ts";
import { FileLock } from "../sys/lock.ts";

/** How much of its output an error shows. */
const SHOWN_BYTES = 4096;
const LOCK_POLL_MS = 200;
/** How long a build that was asked to end may take. */
const GRACE_MS = 3000;

export interface BuildHost {
  readonly helper: string;
  readonly environment: NodeJS.ProcessEnv;
  /** To the terminal as it comes; else kept for the error. */
  readonly show: boolean;
  readonly say: (text: string) => void;
  /** Calls back when the run is to end. */
  readonly onInterrupt: (listener: (reason: string) => void) => void;
}

/** Two runs at a time must not build into the same place. The lock falls with its process. `go` throws when it is not to be awaited any longer. */
const locked = async (out: string, say: (text: string) => void, go: () => void): Promise<FileLock> => {
  mkdirSync(dirname(out), { recursive: true });
  const path = join(dirname(out), `.${basename(out)}.lock`);
  for (let first = true; ; first = false) {
    go();
    const lock = FileLock.attempt(path);
    if (lock !== undefined) return lock;
    if (first) say(`somebody else builds into ${out}; waiting`);
    await Bun.sleep(LOCK_POLL_MS);
  }
};

const build = async (profile: Profile, host: BuildHost): Promise<void> => {
  const { build: plan, name } = profile;
  if (plan === undefined) return;
  try {
    mkdirSync(plan.out, { recursive: true });
  } catch (cause) {
    throw new HostError(`profile \`${name}\`: ${plan.out} cannot be made`, { cause });
  }
  let child: Bun.Subprocess | undefined;
  let interrupted: string | undefined;
  const stop = (signal: "SIGTERM" | "SIGKILL"): void => child?.kill(signal);
  host.onInterrupt((reason) => {
    stop(interrupted === undefined ? "SIGTERM" : "SIGKILL");
    interrupted ??= reason;
    setTimeout(() => stop("SIGKILL"), GRACE_MS).unref();
  });
  const go = (): void => {
    if (interrupted !== undefined) throw new InterruptedError(`profile \`${name}\`: ${interrupted}`);
  };
  const lock = await locked(plan.out, host.say, go);
  try {
    const started = performance.now();
    const command = plan.command.replaceAll("{out}", plan.out);
    const building = Bun.spawn(
      [host.helper, "exec", "--parent", String(process.pid), "--", "/bin/sh", "-c", command],
      {
        cwd: plan.directory,
        env: { ...host.environment, PROVIUM_OUT: plan.out, PROVIUM_PROFILE: name },
        stdin: "ignore",
        stdout: host.show ? "inherit" : "pipe",
        stderr: host.show ? "inherit" : "pipe",
      },
    );
    child = building;
    let said = "";
    const keep = async (stream: ReadableStream<Uint8Array> | undefined): Promise<void> => {
      if (stream === undefined) return;
      const decoder = new TextDecoder();
      for await (const piece of stream)
        said = (said + decoder.decode(piece, { stream: true })).slice(-SHOWN_BYTES);
    };
    await Promise.all([keep(building.stdout), keep(building.stderr), building.exited]);
    go();
    const { exitCode, signalCode } = building;
    if (exitCode !== 0) {
      const how = signalCode === null ? `exited with ${exitCode}` : `was killed by ${signalCode}`;
      throw new ConfigError(
        `profile \`${name}\`: its build ${how}: ${plan.command}${said.trim() === "" ? "" : `\n${said.trimEnd()}`}`,
        { hint: "`provium prepare` shows all of its output; --no-build leaves builds out" },
      );
    }
    host.say(`profile \`${name}\` was built (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  } finally {
    lock.close();
  }
};

/** One after another: builds know how to use several CPUs themselves. Throws what keeps one from being made. */
export const buildProfiles = async (profiles: readonly Profile[], host: BuildHost): Promise<void> => {
  for (const profile of profiles) await build(profile, host);
};

/** Whether a text could name the profile: it stands there as a word in quotes. */
const names = (text: string, profile: string): boolean =>
  [`"${profile}"`, `'${profile}'`, `[[${profile}]]`].some((quoted) => text.includes(quoted));

const textOf = (file: string): string => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
};

/** Of the profiles with a build those that one of some Lua files names. */
export const namedProfiles = (profiles: readonly Profile[], files: readonly string[]): Profile[] => {
  const wanted = profiles.filter(({ build: plan }) => plan !== undefined);
  if (wanted.length === 0) return [];
  const texts = files.map(textOf);
  return wanted.filter(({ name }) => texts.some((text) => names(text, name)));
};
