/** Which of the files found a run takes: by path, by how they fared, by age, by its part of the whole; and how often. */

import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { TestFile } from "../dispatch/discover.ts";
import { parseShard, type Shard, shardFromEnvironment, shardOf } from "../dispatch/shard.ts";
import { readTimings } from "../dispatch/timings.ts";
import { UsageError } from "../errors/errors.ts";
import { type Arguments, countFlag } from "./arguments.ts";
import type { Past } from "./past.ts";

export interface Selection {
  /** Part of the path. */
  readonly filter: string | undefined;
  readonly rerunFailed: boolean;
  /** Files changed after this one. */
  readonly since: string | undefined;
  readonly shard: Shard | undefined;
  /** Files with timings that every shard is given. */
  readonly timings: readonly string[];
  readonly repeat: number;
  /** Said of how the selection was read. */
  readonly notices: readonly string[];
}

export interface Selected {
  readonly files: readonly TestFile[];
  readonly notices: readonly { readonly level: "info" | "warning"; readonly text: string }[];
}

const wholeRun = (): string =>
  "--shard auto: the environment names no part of a whole, so every file runs (see docs/ci.md)";

/** Throws `UsageError`. */
export const selectionOf = (args: Arguments, environment: NodeJS.ProcessEnv): Selection => {
  const notices: string[] = [];
  const text = args.text("shard");
  let shard: Shard | undefined;
  if (text === "auto") {
    const found = shardFromEnvironment(environment);
    shard = found?.shard;
    notices.push(
      found === undefined
        ? wholeRun()
        : `shard ${found.shard.index}/${found.shard.total} as ${found.from} says`,
    );
  } else if (text !== undefined) {
    shard = parseShard(text);
    if (shard === undefined)
      throw new UsageError(`--shard must be like 2/5, the first being 1, or auto; it is \`${text}\``);
  }
  return {
    filter: args.text("filter"),
    rerunFailed: args.has("rerun-failed") && !args.has("watch"),
    since: args.text("since"),
    shard,
    timings: args.texts("timings"),
    repeat: countFlag(args, "repeat") ?? 1,
    notices,
  };
};

const newerThan = (files: readonly TestFile[], named: string, directory: string): TestFile[] => {
  const path = resolve(directory, named);
  const mark = statSync(path, { throwIfNoEntry: false });
  if (mark === undefined) throw new UsageError(`--since ${named}: no such file`);
  return files.filter(({ file }) => (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) > mark.mtimeMs);
};

/** Files with their repetitions that one run takes: each is an entry in the memory of the run and of every report. */
const MOST_FILES = 1_000_000;

/** The same file several times; the repetitions are told apart by their paths: `a.test.lua #2`. */
const repeated = (files: readonly TestFile[], times: number): TestFile[] => {
  if (files.length * times > MOST_FILES)
    throw new UsageError(
      `--repeat ${times}: ${files.length} file(s) would make a run of ${files.length * times}; at most ${MOST_FILES} are possible`,
    );
  return Array.from({ length: times }, (_, i) =>
    files.map((file) => (i === 0 ? file : { ...file, path: `${file.path} #${i + 1}` })),
  ).flat();
};

/** Applies a selection in the order in which the manual states it. Throws `UsageError`. */
export const select = (
  found: readonly TestFile[],
  selection: Selection,
  past: Past,
  directory: string,
): Selected => {
  const { filter, rerunFailed, since, shard } = selection;
  const notices: { level: "info" | "warning"; text: string }[] = selection.notices.map((text) => ({
    level: "info",
    text,
  }));
  let files = filter === undefined ? [...found] : found.filter((file) => file.path.includes(filter));
  if (rerunFailed) {
    try {
      const failed = past.failures();
      if (failed === undefined)
        notices.push({ level: "info", text: "--rerun-failed: no earlier run has left failures" });
      files = files.filter(({ file }) => failed?.has(file) === true);
    } catch (error) {
      const text = `--rerun-failed: ${(error as Error).message}, so every file runs`;
      notices.push({ level: "warning", text });
    }
  }
  if (since !== undefined) files = newerThan(files, since, directory);
  if (shard !== undefined) {
    const known = new Map(selection.timings.flatMap((path) => [...readTimings(resolve(directory, path))]));
    const whole = files.length;
    const division = shardOf(files, shard, ({ path }) => known.get(path));
    files = [...division.files];
    const text = `shard ${shard.index}/${shard.total}: ${files.length} of ${whole} files (plan ${division.plan})`;
    notices.push({ level: "info", text });
  }
  return { files: repeated(files, selection.repeat), notices };
};
