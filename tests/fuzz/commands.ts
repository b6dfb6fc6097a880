/** Every target as a command, and what it consists of. */

import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import type { Target } from "./target.ts";
import { TARGETS } from "./ts/targets.ts";

const FINDINGS = "build/fuzz/findings";
/** What libFuzzer learns, beside the corpus that the repository keeps. */
const LEARNT = "build/fuzz/corpus";
/** By the clock on the wall, for a wait that never ends. What burns time is found by tests/fuzz/c/patience.c. */
const WAIT_SECONDS = 600;

export interface Command {
  readonly name: string;
  /** Changes with the target and with everything that it tests. */
  readonly version: () => Promise<string>;
  /** What feeds it for so long. */
  readonly argv: (seconds: number) => readonly string[];
}

const digest = (data: string | Uint8Array): string =>
  Bun.hash.xxHash3(data).toString(16).padStart(16, "0").slice(0, 8);

const script = ({ name, source }: Target): Command => ({
  name,
  // The file with all that it imports, as one text.
  version: async () => {
    const { outputs } = await Bun.build({ entrypoints: [`tests/fuzz/ts/${source}`], target: "bun" });
    return digest(await (outputs[0] as Blob).text());
  },
  argv: (seconds) => [process.execPath, "tests/fuzz/one.ts", name, String(seconds)],
});

const native = (name: string): Command => ({
  name,
  version: async () => digest(readFileSync(`build/fuzz/${name}`)),
  argv: (seconds) => {
    const learnt = `${LEARNT}/${name}`;
    for (const directory of [learnt, FINDINGS]) mkdirSync(directory, { recursive: true });
    return [
      `build/fuzz/${name}`,
      `-max_total_time=${seconds}`,
      `-timeout=${WAIT_SECONDS}`,
      "-rss_limit_mb=2048",
      "-print_final_stats=1",
      "-verbosity=0",
      `-artifact_prefix=${FINDINGS}/${name}-`,
      learnt,
      `tests/fuzz/corpus/${name}`,
    ];
  },
});

export const COMMANDS: readonly Command[] = [
  ...TARGETS.map(script),
  ...readdirSync("tests/fuzz/c")
    .flatMap((file) => /^fuzz_(\w+)\.c$/.exec(file)?.[1] ?? [])
    .map(native),
];
