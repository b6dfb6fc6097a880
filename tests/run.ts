/**
 * `make test`: every stage in order, each a program of its own; then one line with the totals.
 *
 * Stages named on the command line run alone: `bun tests/run.ts unit vm`.
 */

import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Stage {
  readonly name: string;
  readonly what: string;
  readonly command: readonly string[];
  /** Where the run's events go, which are checked against their schema afterwards. */
  readonly events?: string;
  /** How to read passed and failed counts from what it printed. */
  readonly count: (output: string) => { passed: number; failed: number; skipped: number };
}

const last = (output: string, pattern: RegExp): number =>
  Number([...output.matchAll(pattern)].at(-1)?.[1] ?? 0);

const bunCount = (output: string) => ({
  passed: last(output, /^\s*(\d+) pass$/gm),
  failed: last(output, /^\s*(\d+) fail$/gm),
  skipped: last(output, /^\s*(\d+) skip$/gm),
});

const proviumCount = (output: string) => ({
  passed: last(output, /file\(s\); (\d+) passed/g),
  failed: last(output, /passed, (\d+) failed, \d+ skipped;/g),
  skipped: last(output, /failed, (\d+) skipped;/g),
});

const oneCheck = (output: string) => ({ passed: output === "" ? 0 : 1, failed: 0, skipped: 0 });

const EVENTS = "build/events";

const STAGES: readonly Stage[] = [
  { name: "lint", what: "format, lint, types, layers", command: ["make", "-s", "lint"], count: oneCheck },
  {
    name: "unit",
    what: "pure parts, and the agent over a socket",
    command: ["bun", "test", "./tests/unit", "--timeout", "60000"],
    count: bunCount,
  },
  {
    name: "local",
    what: "Lua suites on the local VMM",
    command: [
      "dist/provium",
      "tests/local",
      "tests/shared",
      "--vmm",
      "local",
      "--operations",
      "--save-events",
      `${EVENTS}/local`,
    ],
    events: `${EVENTS}/local`,
    count: proviumCount,
  },
  {
    name: "vm",
    what: "Lua suites in real virtual machines",
    command: [
      "dist/provium",
      "--config",
      "tests/vm/provium.toml",
      "tests/vm",
      "tests/shared",
      // The lab form finds *.test.lua only; these are classic and mixed files.
      "tests/vm/api/ids.lua",
      "tests/vm/api/mixed.lua",
      "tests/vm/fixture/old.lua",
      "--save-events",
      `${EVENTS}/vm`,
    ],
    events: `${EVENTS}/vm`,
    count: proviumCount,
  },
  {
    name: "net",
    what: "the suites of networks once more, on the kernel's bridge",
    command: ["bun", "test", "./tests/net"],
    count: bunCount,
  },
  {
    name: "chaos",
    what: "bad input, faults and what they leave behind",
    command: ["bun", "test", "./tests/chaos", "--timeout", "180000"],
    count: bunCount,
  },
  {
    name: "fuzz",
    what: "every parser fed with anything, for a moment (`make fuzz TIME=1h` for longer)",
    command: ["bun", "tests/fuzz/run.ts", "2"],
    count: (output) => {
      const passed = last(output, /^(\d+) target\(s\) of/gm);
      return { passed, failed: last(output, /target\(s\) of (\d+) without/g) - passed, skipped: 0 };
    },
  },
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !STAGES.some((stage) => stage.name === name));
if (unknown.length > 0) {
  console.error(
    `unknown stage ${unknown.join(", ")} (known: ${STAGES.map((stage) => stage.name).join(", ")})`,
  );
  process.exit(2);
}

/** Checks the recording of a stage; false when something is wrong with it. */
const eventsHold = (recording: string): boolean => {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["bun", "tests/events/validate.ts", recording]);
  console.log(`${stdout}${stderr}`.trim());
  return exitCode === 0;
};

mkdirSync(EVENTS, { recursive: true });
// What commands of the local suites make with mktemp is theirs; it goes with the run.
const scratch = mkdtempSync(join(tmpdir(), "provium-tests-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
const total = { passed: 0, failed: 0, skipped: 0 };
const lines: string[] = [];
for (const stage of STAGES) {
  if (wanted.length > 0 && !wanted.includes(stage.name)) continue;
  console.log(`\n=== ${stage.name}: ${stage.what}`);
  const started = performance.now();
  const child = Bun.spawn([...stage.command], {
    stdout: "pipe",
    stderr: "pipe",
    stdin: "ignore",
    env: stage.name === "local" ? { ...process.env, TMPDIR: scratch } : process.env,
  });
  let output = "";
  const pass = async (stream: ReadableStream<Uint8Array>, to: NodeJS.WriteStream): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      to.write(chunk);
      output += decoder.decode(chunk, { stream: true });
    }
  };
  await Promise.all([pass(child.stdout, process.stdout), pass(child.stderr, process.stderr)]);
  const code = await child.exited;
  const counts = stage.count(output);
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  if (code === 0 && counts.passed === 0) {
    console.log(`${stage.name}: no test ran`);
    counts.failed = 1;
  }
  if (stage.events !== undefined && !eventsHold(stage.events)) counts.failed++;
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  lines.push(
    `${counts.failed === 0 ? "ok  " : "FAIL"} ${stage.name.padEnd(6)} ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped (${seconds} s)`,
  );
}
console.log(`\n${lines.join("\n")}\n`);
if (!existsSync("dist/provium")) console.log("dist/provium is not built: `make build`");
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
