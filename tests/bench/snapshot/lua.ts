/** What a test sees: boot, snapshot, restore, reset between tests, and the memory of clones. From the events of runs. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readRecording } from "../../../src/events/recording.ts";
import { median, quantile } from "../statistics.ts";

const EXECUTABLE = resolve("dist/provium");
const MEBIBYTE = 2 ** 20;

/** `rounds` restores, a fifth as many boots and snapshots, in turns. */
const story = (rounds: number): string => `
local vm = provium:vm("a", "default")
test("turns", { timeout = "30m" }, function()
  local snap
  for i = 1, ${rounds} do
    if i % 5 == 1 then
      vm:shutdown()
      vm:boot()
      vm:run("true"):assert_ok()
      snap = vm:snapshot()
    end
    vm:kill()
    vm:restore(snap)
    vm:run("true"):assert_ok()
  end
end)
`;

const tests = (count: number, body: string, reset: boolean): string => `
local vm = provium:vm("a", "default"):boot()
provium.reset_between_tests = ${reset}
for i = 1, ${count} do test("t" .. i, function() vm:run("${body}"):assert_ok() end) end
`;

const clones = (count: number, done: string, go: string): string => `
test("clones", { timeout = "10m" }, function()
  local origin = provium:vm("origin", "default"):boot()
  local snap = origin:snapshot()
  origin:kill()
  for i = 1, ${count} do
    local vm = provium:vm("clone" .. i, "default")
    vm:restore(snap)
    vm:run("true"):assert_ok()
  end
  io.open(${JSON.stringify(done)}, "w"):close()
  wait_until(function()
    local file = io.open(${JSON.stringify(go)})
    return file and file:close()
  end, { timeout = "5m" })
end)
`;

interface Told {
  readonly boot: number[];
  readonly restore: number[];
  readonly snapshot: number[];
  readonly bytes: number[];
  /** From the start of the first test to the end of the last. */
  tests: number;
}

const run = (directory: string, name: string, text: string): Told => {
  const home = join(directory, name);
  mkdirSync(home);
  writeFileSync(join(home, `${name}.test.lua`), text);
  const child = Bun.spawnSync(
    [EXECUTABLE, `${name}.test.lua`, "--timeout", "1800", "--cpu-overcommit", "8", "--save-events", "events"],
    { cwd: home, stdout: "pipe", stderr: "pipe" },
  );
  if (child.exitCode !== 0) throw new Error(`${child.stdout}${child.stderr}`);
  const told: Told = { boot: [], restore: [], snapshot: [], bytes: [], tests: 0 };
  let first: number | undefined;
  let restoring = false;
  readRecording(join(home, "events"), (event) => {
    const at = Number(event.ts) / 1e6;
    if (event.kind === "test_started") first ??= at;
    if (event.kind === "test_passed") told.tests = at - (first as number);
    if (event.kind === "vm_spawned") told.boot.push(event.payload.boot_ns / 1e6);
    if (event.kind === "snapshot_restored") {
      // The machine of a restore is told of too.
      told.boot.pop();
      told.restore.push(event.payload.duration_ns / 1e6);
      restoring = true;
    }
    if (event.kind === "snapshot_taken") {
      told.snapshot.push(event.payload.duration_ns / 1e6);
      told.bytes.push(event.payload.bytes);
    }
  });
  if (!restoring && name === "turns") throw new Error("no restore was told of");
  return told;
};

const ms = (value: number): string => `${value.toFixed(1)} ms`;

export const measureTests = (directory: string, rounds: number): void => {
  const turns = run(directory, "turns", story(rounds));
  const [boot, restore] = [median(turns.boot), median(turns.restore)];
  console.log(`boot to first answer      ${ms(boot)} median of ${turns.boot.length}`);
  console.log(
    `restore to first answer   ${ms(restore)} median, ${ms(quantile(turns.restore, 0.99))} p99, ${ms(Math.min(...turns.restore))} best of ${turns.restore.length}`,
  );
  console.log(
    `boot / restore            ${(boot / restore).toFixed(1)} (goal: at least 20), best of each ${(Math.min(...turns.boot) / Math.min(...turns.restore)).toFixed(1)}`,
  );
  console.log(
    `snapshot                  ${ms(median(turns.snapshot))} median, ${(median(turns.bytes) / MEBIBYTE).toFixed(1)} MiB on disk`,
  );
  measureResets(directory, 20);
};

/** What `reset_between_tests` adds to a test: to one in which the next machine gets ready, and to one that is over at once. */
const measureResets = (directory: string, count: number): void => {
  for (const [what, body] of [
    ["tests of 0.4 s", "sleep 0.4"],
    ["tests of nothing", "true"],
  ] as const) {
    const added = [1, 2, 3].map((round) => {
      const [plain, reset] = [false, true].map((wanted) =>
        run(
          directory,
          `${wanted ? "reset" : "plain"}-${body.replace(/\W/g, "-")}-${round}`,
          tests(count, body, wanted),
        ),
      ) as [Told, Told];
      return { ms: (reset.tests - plain.tests) / (count - 1), back: median(reset.restore) };
    });
    const best = added.reduce((one, other) => (other.ms < one.ms ? other : one));
    console.log(
      `reset, ${what.padEnd(18)} ${ms(median(added.map((one) => one.ms)))} more for each, best of three ${ms(best.ms)} (goal: under 60 ms); of it the way back ${ms(best.back)}`,
    );
  }
};

/** Bytes of one line of `/proc/PID/smaps_rollup`. */
const rollup = (pid: string, what: string): number =>
  Number(
    new RegExp(`^${what}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1],
  ) * 1024;

/** Processes of QEMU whose command line names something below `directory`. */
const machines = (directory: string): string[] =>
  readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "latin1");
      return command.startsWith("/") && command.includes("qemu-system") && command.includes(directory);
    } catch {
      return false;
    }
  });

export const measureClones = async (directory: string, count: number): Promise<void> => {
  const home = join(directory, "clones");
  mkdirSync(home);
  const [done, go] = [join(home, "done"), join(home, "go")];
  writeFileSync(join(home, "clones.test.lua"), clones(count, done, go));
  const child = Bun.spawn([EXECUTABLE, "clones.test.lua", "--timeout", "1800", "--cpu-overcommit", "8"], {
    cwd: home,
    env: { ...process.env, TMPDIR: home },
    stdout: "pipe",
    stderr: "inherit",
  });
  const over = async (): Promise<void> => {
    writeFileSync(go, "");
    await child.exited;
  };
  try {
    while (!existsSync(done) && child.exitCode === null) await Bun.sleep(100);
    const pids = machines(home);
    if (pids.length !== count) throw new Error(`${pids.length} machines run, ${count} should`);
    const sum = (what: string): number =>
      pids.reduce((total, pid) => total + rollup(pid, what), 0) / count / MEBIBYTE;
    console.log(
      `${count} clones, each          ${sum("Rss").toFixed(1)} MiB resident, ${sum("Pss").toFixed(1)} MiB of its own share (PSS), ${sum("Private_Dirty").toFixed(1)} MiB written`,
    );
  } finally {
    await over();
  }
  if (child.exitCode !== 0) throw new Error(await new Response(child.stdout).text());
};
