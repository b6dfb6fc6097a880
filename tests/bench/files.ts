/**
 * 1,000 trivial files with 10 tests each: Provium on the local VMM beside busted, bats (Debian's `lua-busted` and
 * `bats`, skipped with a message where absent) and `bun test`, interleaved in one run. Prints medians, ratios and the
 * most memory that Provium's dispatcher held. `FILES=100 ROUNDS=5` are other shapes.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { median } from "./statistics.ts";

const FILES = Number(process.env.FILES ?? 1000);
const TESTS = 10;
const ROUNDS = Number(process.env.ROUNDS ?? 3);

const directory = mkdtempSync(join(tmpdir(), "provium-bench-"));
const numbers = Array.from({ length: TESTS }, (_, i) => i);

/** One suite in the language of each runner. */
const SUITES = {
  provium: {
    file: (n: number) => `t${n}.test.lua`,
    text: numbers.map((i) => `test("adds ${i}", function(t) t:assert_eq(1 + ${i}, ${i + 1}) end)`).join("\n"),
    command: [resolve("dist/provium"), "--vmm", "local", "-q"],
  },
  busted: {
    file: (n: number) => `t${n}_spec.lua`,
    text: `describe("sums", function()\n${numbers
      .map((i) => `it("adds ${i}", function() assert.are.equal(${i + 1}, 1 + ${i}) end)`)
      .join("\n")}\nend)`,
    command: ["busted", "-o", "TAP", "."],
  },
  bats: {
    file: (n: number) => `t${n}.bats`,
    text: numbers.map((i) => `@test "adds ${i}" {\n  [ $((1 + ${i})) -eq ${i + 1} ]\n}`).join("\n"),
    command: ["bats", "."],
  },
  bun: {
    file: (n: number) => `t${n}.test.ts`,
    text: `import { expect, test } from "bun:test";\n${numbers
      .map((i) => `test("adds ${i}", () => expect(1 + ${i}).toBe(${i + 1}));`)
      .join("\n")}`,
    command: ["bun", "test"],
  },
} as const;

type Name = keyof typeof SUITES;
const names = (Object.keys(SUITES) as Name[]).filter((name) => {
  if (Bun.which(SUITES[name].command[0])) return true;
  console.log(`${name}: not installed, skipped`);
  return false;
});

/** The most memory that a process has held so far, in KiB. */
const peakOf = (pid: number): number => {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
};

let peak = 0;

try {
  for (const name of names) {
    mkdirSync(join(directory, name));
    for (let n = 0; n < FILES; n++)
      writeFileSync(join(directory, name, SUITES[name].file(n)), SUITES[name].text);
  }
  const times = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) {
      const started = performance.now();
      const child = Bun.spawn([...SUITES[name].command], {
        cwd: join(directory, name),
        stdout: "ignore",
        stderr: "pipe",
      });
      const watch = setInterval(() => {
        if (name === "provium") peak = Math.max(peak, peakOf(child.pid));
      }, 20);
      const complaints = await new Response(child.stderr).text();
      await child.exited;
      clearInterval(watch);
      if (child.exitCode !== 0) throw new Error(`${name} failed: ${complaints}`);
      times.get(name)?.push(performance.now() - started);
    }
  }
  const own = median(times.get("provium") ?? []);
  for (const name of names) {
    const each = median(times.get(name) ?? []);
    console.log(
      `${name.padEnd(8)} ${each.toFixed(0).padStart(6)} ms   provium/${name} = ${(own / each).toFixed(2)}`,
    );
  }
  console.log(`dispatcher at its largest: ${(peak / 1024).toFixed(0)} MiB for ${FILES * TESTS} tests`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
