import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseShard, shardFromEnvironment, shardOf } from "../../../src/dispatch/shard.ts";

const files = (count: number) => Array.from({ length: count }, (_, i) => ({ path: `f${i}.test.lua` }));
const times = fc.array(fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined }), {
  maxLength: 60,
});

describe("a division", () => {
  test("gives every file to exactly one shard, whatever is known of their times", () => {
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 12 }), (known, total) => {
        const all = files(known.length);
        const parts = Array.from({ length: total }, (_, i) =>
          shardOf(all, { index: i + 1, total }, ({ path }) => known[Number(path.slice(1, -9))]),
        );
        const paths = parts.flatMap((part) => part.files.map(({ path }) => path));
        expect(paths.sort()).toEqual(all.map(({ path }) => path).sort());
        expect(new Set(parts.map((part) => part.plan)).size).toBe(1);
      }),
    );
  });

  test("is balanced: no shard has more than the fair share and its longest file", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 80 }),
        fc.integer({ min: 1, max: 10 }),
        (known, total) => {
          const timeOf = ({ path }: { path: string }) => known[Number(path.slice(1, -9))];
          const fair = known.reduce((sum, ms) => sum + ms, 0) / total;
          for (let index = 1; index <= total; index++) {
            const part = shardOf(files(known.length), { index, total }, timeOf).files;
            const load = part.reduce((sum, file) => sum + (timeOf(file) ?? 0), 0);
            expect(load).toBeLessThanOrEqual(fair + Math.max(...known));
          }
        },
      ),
    );
  });

  test("does not depend on the order in which files are found, and says when it was made from other facts", () => {
    const all = files(20);
    const one = shardOf(all, { index: 1, total: 3 }, () => undefined);
    const other = shardOf([...all].reverse(), { index: 1, total: 3 }, () => undefined);
    expect(new Set(one.files.map(({ path }) => path))).toEqual(new Set(other.files.map(({ path }) => path)));
    expect(one.plan).toBe(other.plan);
    expect(shardOf(files(21), { index: 1, total: 3 }, () => undefined).plan).not.toBe(one.plan);
  });
});

test("a shard is written as part and whole, from 1", () => {
  expect(parseShard("2/5")).toEqual({ index: 2, total: 5 });
  for (const text of ["", "0/3", "4/3", "1", "1/0", "-1/3", "1/3/5", "a/b", "1.5/3", " 1/3"])
    expect(parseShard(text), text).toBeUndefined();
});

describe("the environment", () => {
  const from = (environment: Record<string, string>) => {
    const found = shardFromEnvironment(environment);
    return found === undefined ? undefined : `${found.from} ${found.shard.index}/${found.shard.total}`;
  };

  test("says which part this is, in the way of each system", () => {
    expect(from({})).toBeUndefined();
    expect(from({ PROVIUM_SHARD: "3/4", CI_NODE_INDEX: "1", CI_NODE_TOTAL: "9" })).toBe("PROVIUM_SHARD 3/4");
    expect(from({ CI_NODE_INDEX: "1", CI_NODE_TOTAL: "4" })).toBe("GitLab 1/4");
    expect(from({ CIRCLE_NODE_INDEX: "0", CIRCLE_NODE_TOTAL: "4" })).toBe("CircleCI 1/4");
    expect(from({ BUILDKITE_PARALLEL_JOB: "3", BUILDKITE_PARALLEL_JOB_COUNT: "4" })).toBe("Buildkite 4/4");
    expect(from({ SEMAPHORE_JOB_INDEX: "2", SEMAPHORE_JOB_COUNT: "4" })).toBe("Semaphore 2/4");
    expect(from({ SYSTEM_JOBPOSITIONINPHASE: "2", SYSTEM_TOTALJOBSINPHASE: "4" })).toBe("Azure 2/4");
    expect(from({ BITBUCKET_PARALLEL_STEP: "0", BITBUCKET_PARALLEL_STEP_COUNT: "2" })).toBe("Bitbucket 1/2");
    expect(from({ JOB_COMPLETION_INDEX: "0", JOB_COMPLETIONS: "3" })).toBe("Kubernetes 1/3");
    // GitLab sets the total in every job, the index only where there are several.
    expect(from({ CI_NODE_TOTAL: "1" })).toBeUndefined();
  });

  test("of a Slurm array tells the position, wherever the array begins and in whatever steps it goes", () => {
    const slurm = (id: number, least: number, step: number, count: number) =>
      from({
        SLURM_ARRAY_TASK_ID: String(id),
        SLURM_ARRAY_TASK_MIN: String(least),
        SLURM_ARRAY_TASK_STEP: String(step),
        SLURM_ARRAY_TASK_COUNT: String(count),
      });
    expect(slurm(0, 0, 1, 4)).toBe("Slurm 1/4");
    expect(slurm(4, 1, 1, 4)).toBe("Slurm 4/4");
    expect(slurm(8, 4, 2, 5)).toBe("Slurm 3/5");
    // --array=1,3,7: the numbers do not tell the position.
    expect(() => slurm(7, 1, 1, 3)).toThrow(/SLURM_ARRAY_TASK_ID=7 .* no part of a whole/);
  });

  test("that says half of it is an error that names the other half", () => {
    expect(() => from({ JOB_COMPLETION_INDEX: "2" })).toThrow(
      "Kubernetes says JOB_COMPLETION_INDEX=2, but JOB_COMPLETIONS is not set",
    );
    expect(() => from({ PROVIUM_SHARD: "5/4" })).toThrow("PROVIUM_SHARD must be like 2/5");
    expect(() => from({ CI_NODE_INDEX: "x", CI_NODE_TOTAL: "4" })).toThrow("no part of a whole");
  });
});
