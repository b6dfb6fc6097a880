/**
 * One part of a suite that is spread over several hosts. Every host works out the whole division from the same facts
 * (the files, and timings that all of them were given), so nothing has to be exchanged: the parts are disjoint and
 * together they are the suite.
 */

import { createHash } from "node:crypto";
import { UsageError } from "../errors/errors.ts";
import { middle } from "./timings.ts";

export interface Shard {
  /** From 1. */
  readonly index: number;
  readonly total: number;
}

/** "2/5". Undefined for anything else. */
export const parseShard = (text: string): Shard | undefined => {
  const match = /^(\d{1,6})\/(\d{1,6})$/.exec(text);
  if (match === null) return undefined;
  const [index, total] = [Number(match[1]), Number(match[2])];
  return index >= 1 && index <= total ? { index, total } : undefined;
};

interface Source {
  readonly system: string;
  readonly index: string;
  readonly total: string;
  /** What the first part is called. */
  readonly first: 0 | 1;
}

/** Where the systems that run jobs side by side say which one this is. Sources: their manuals, by these names. */
const SOURCES: readonly Source[] = [
  { system: "Slurm", index: "SLURM_ARRAY_TASK_ID", total: "SLURM_ARRAY_TASK_COUNT", first: 1 },
  // Kubernetes says the index only; the manifest hands the number of completions on (docs/scale.md).
  { system: "Kubernetes", index: "JOB_COMPLETION_INDEX", total: "JOB_COMPLETIONS", first: 0 },
  { system: "CircleCI", index: "CIRCLE_NODE_INDEX", total: "CIRCLE_NODE_TOTAL", first: 0 },
  { system: "Buildkite", index: "BUILDKITE_PARALLEL_JOB", total: "BUILDKITE_PARALLEL_JOB_COUNT", first: 0 },
  { system: "Semaphore", index: "SEMAPHORE_JOB_INDEX", total: "SEMAPHORE_JOB_COUNT", first: 1 },
  { system: "Azure", index: "SYSTEM_JOBPOSITIONINPHASE", total: "SYSTEM_TOTALJOBSINPHASE", first: 1 },
  { system: "Bitbucket", index: "BITBUCKET_PARALLEL_STEP", total: "BITBUCKET_PARALLEL_STEP_COUNT", first: 0 },
  { system: "GitLab", index: "CI_NODE_INDEX", total: "CI_NODE_TOTAL", first: 1 },
];

/** Slurm counts as the user wrote it (`--array=4-12:2`): the smallest number and the step tell the position. */
const slurmPosition = (id: number, environment: NodeJS.ProcessEnv): number => {
  const least = Number(environment.SLURM_ARRAY_TASK_MIN ?? 1);
  const step = Number(environment.SLURM_ARRAY_TASK_STEP ?? 1) || 1;
  return (id - least) / step + 1;
};

/** Which part this host is by what its environment says; undefined where it says nothing. Throws `UsageError`. */
export const shardFromEnvironment = (
  environment: NodeJS.ProcessEnv,
): { readonly shard: Shard; readonly from: string } | undefined => {
  const own = environment.PROVIUM_SHARD;
  if (own !== undefined && own !== "") {
    const shard = parseShard(own);
    if (shard === undefined)
      throw new UsageError(`PROVIUM_SHARD must be like 2/5, the first being 1; it is \`${own}\``);
    return { shard, from: "PROVIUM_SHARD" };
  }
  const source = SOURCES.find(({ index }) => (environment[index] ?? "") !== "");
  if (source === undefined) return undefined;
  const { system, first } = source;
  const said = environment[source.index] as string;
  const total = environment[source.total];
  if (total === undefined || total === "")
    throw new UsageError(`${system} says ${source.index}=${said}, but ${source.total} is not set`, {
      hint: `set ${source.total} to the number of parallel jobs, or use --shard ${Number(said) + 1 - first}/N`,
    });
  const position = system === "Slurm" ? slurmPosition(Number(said), environment) : Number(said) + 1 - first;
  const shard = parseShard(`${position}/${total}`);
  if (shard === undefined)
    throw new UsageError(
      `${system} says ${source.index}=${said} and ${source.total}=${total}, which is no part of a whole`,
      { hint: "number the jobs without gaps, or say which part this is with --shard I/N" },
    );
  return { shard, from: system };
};

export interface Division<T> {
  readonly files: readonly T[];
  /** A short name for the whole division: hosts that print the same one have divided alike. */
  readonly plan: string;
}

interface Weighed<T> {
  readonly file: T;
  readonly path: string;
  readonly ms: number;
}

/** Longest first to whoever has least: never far from the best division, and the same wherever it is computed. */
export const shardOf = <T extends { readonly path: string }>(
  files: readonly T[],
  { index, total }: Shard,
  timeOf: (file: T) => number | undefined,
): Division<T> => {
  const times = files.map(timeOf);
  const usual = middle(times.filter((time) => time !== undefined)) || 1;
  const weighed = files
    .map((file, i): Weighed<T> => ({ file, path: file.path, ms: times[i] ?? usual }))
    .sort((a, b) => b.ms - a.ms || (a.path < b.path ? -1 : 1));
  const loads = Array.from({ length: total }, () => 0);
  const hash = createHash("sha256");
  const chosen = new Set<T>();
  for (const { file, path, ms } of weighed) {
    let least = 0;
    for (let i = 1; i < total; i++) if ((loads[i] as number) < (loads[least] as number)) least = i;
    loads[least] = (loads[least] as number) + ms;
    hash.update(`${least} ${path}\n`);
    if (least === index - 1) chosen.add(file);
  }
  return { files: files.filter((file) => chosen.has(file)), plan: hash.digest("hex").slice(0, 8) };
};
