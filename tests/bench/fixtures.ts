/**
 * A machine out of the cache of fixtures against a boot, to its first answer, turn about in one file. `ROUNDS=n`
 * hits (15) and a fifth as many boots.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readRecording } from "../../src/events/recording.ts";
import { quantile } from "./statistics.ts";

const ROUNDS = Number(process.env.ROUNDS ?? 15);
const EXECUTABLE = resolve("dist/provium");

const directory = mkdtempSync(join(tmpdir(), "provium-bench-"));
const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);
write("provium.toml", '[provium]\nroots = ["."]\ncache_dir = "cache"\n');
write("ready.fixture.lua", 'return provium:vm("ready", "default"):boot()\n');
// Killed at once: what a machine takes to power off is none of either.
write(
  "a.test.lua",
  `local function answers(vm) vm:run("true"):assert_ok() vm:kill() end
for i = 1, ${ROUNDS} do
  test("hit " .. i, function() answers(provium:vm_fixture("ready")) end)
  if i % 5 == 1 then test("boot " .. i, function() answers(provium:vm("b", "default"):boot()) end) end
end
`,
);

const run = (...args: string[]): void => {
  const child = Bun.spawnSync([EXECUTABLE, ...args], { cwd: directory, stdout: "pipe", stderr: "pipe" });
  if (child.exitCode !== 0) throw new Error(`${child.stdout}${child.stderr}`);
};

try {
  const built = performance.now();
  run("fixture", "build", "ready");
  console.log(`build    ${(performance.now() - built).toFixed(0).padStart(6)} ms, once`);
  run("--jobs", "1", "--save-events", "events");
  const times: Record<string, number[]> = { hit: [], boot: [] };
  readRecording(join(directory, "events"), (event) => {
    if (event.kind !== "test_passed") return;
    times[event.payload.name.split(" ")[0] as string]?.push(event.payload.duration_ns / 1e6);
  });
  const [hit, boot] = [times.hit as number[], times.boot as number[]];
  for (const [name, values] of Object.entries({ hit, boot }))
    console.log(
      `${name.padEnd(8)} ${quantile(values, 0.5).toFixed(0).padStart(6)} ms median, ${quantile(values, 0.99).toFixed(0)} ms p99 of ${values.length}`,
    );
  console.log(`ratio    ${(quantile(boot, 0.5) / quantile(hit, 0.5)).toFixed(1).padStart(6)}`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
