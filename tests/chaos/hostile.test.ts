/**
 * A guest in which somebody else speaks as the agent: it greets the host properly, and then lies, floods, or says nothing.
 * Whatever it does, the call ends with an error, the next machine works, and the host keeps its memory, its disk and its
 * terminal.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Outcome, outcome, Project } from "./run.ts";

const ATTACKER = resolve("build/chaos/attacker");

const build = (): void => {
  mkdirSync("build/chaos", { recursive: true });
  const { exitCode, stderr } = Bun.spawnSync([
    ...[
      "musl-gcc",
      "-static",
      "-std=c11",
      "-D_GNU_SOURCE",
      "-O1",
      "-Wall",
      "-Wextra",
      "-Wconversion",
      "-Werror",
    ],
    ...["-Iagent/common", "-Ibuild/agent/generated", "-o", ATTACKER, "tests/chaos/hostile/attacker.c"],
    ...["frame", "message", "msgpack", "buffer"].map((name) => `agent/common/${name}.c`),
    "build/agent/generated/messages.c",
  ]);
  if (exitCode !== 0) throw new Error(`attacker.c: ${stderr}`);
};

const PROFILE = `[profiles.hostile]
kernel = "embedded"
inject_agent = false
cmdline = "quiet panic=-1 no_timer_check rdinit=/start"
`;

const START = `#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
modprobe virtio_pci; modprobe virtio_console
# A port gets its name by a message of its own, after it has come.
until [ -n "$port" ]; do
  for each in /sys/class/virtio-ports/*; do
    [ "$(cat $each/name 2>/dev/null)" = org.provium.agent ] && port=/dev/\${each##*/}
  done
  sleep 0.1
done
/attacker "$(cat /mode)" $port
echo "the attacker ended with $?" > /dev/console
sleep 600
`;

const suite = (mode: string): string => `
local g = provium:vm("g", "hostile", { boot_timeout = "60s", files = {
  { path = "/start", host = "start", mode = 493 },
  { path = "/attacker", host = "${ATTACKER}", mode = 493 },
  { path = "/mode", content = "${mode}", mode = 420 },
} })
g:boot()
for name, call in pairs {
  run = function() return g:run("true") end,
  read = function() return g:read_file("/etc/passwd") end,
  list = function() return g:listdir("/") end,
  stat = function() return g:stat("/") end,
  clock = function() return g:syscall(39) end,
  worker = function() return g:spawn_worker() end,
} do
  test("hostile " .. name, function(t) call() end)
end
`;

/** Memory that a process has had at most, in MiB. */
const peak = (pid: number): number => {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

const CASES: readonly (readonly [mode: string, says: RegExp])[] = [
  ["silent", /does not answer|stopped answering|no answer|within|silent/i],
  ["lengths", /frame of 4294967294 bytes/],
  ["flood", /the agent sent 1048576 bytes of output with credit for|process \d/],
  ["lies", /answer|field|protocol|request/i],
  ["words", /all tests passed/],
  ["console", /vm `g`/],
];

const reports = { json: "r.json", junit: "r.xml", tap: "r.tap", github: "r.txt", html: "r.html" };
let there: Project;
let ran: Outcome;
let most = 0;

/** All of them in one run, next to a file whose machine is honest. */
beforeAll(async () => {
  build();
  there = new Project({
    "provium.toml": PROFILE,
    start: START,
    ...Object.fromEntries(CASES.map(([mode]) => [`${mode}.test.lua`, suite(mode)])),
    "z.test.lua": `test("the next machine is fine", function(t) t:assert(provium:vm("fine", "default"):boot():run("true"):ok()) end)\n`,
  });
  const wanted = Object.entries(reports).flatMap(([name, file]) => ["--reporter", `${name}=${file}`]);
  const child = there.start(["-v", "--jobs", "2", "--reporter", "plain", ...wanted]);
  const watch = setInterval(() => {
    const ours = there.processes().filter(({ command }) => !command.includes("qemu-system"));
    most = Math.max(most, ...ours.map(({ pid }) => peak(pid)));
  }, 100);
  ran = await outcome(child);
  clearInterval(watch);
}, 900_000);

afterAll(() => there[Symbol.dispose]());

/** What the report says about one file. */
const part = (mode: string): string => {
  const from = ran.stdout.indexOf(`FAIL ${mode}.test.lua`);
  const end = ran.stdout.slice(from + 1).search(/^(FAIL|PASS|TIME) \w+\.test\.lua/m);
  return from < 0 ? "" : ran.stdout.slice(from, end < 0 ? undefined : from + 1 + end);
};

for (const [mode, says] of CASES)
  test(`of an agent that does "${mode}" every call fails, and the report says why`, () => {
    expect(part(mode)).toMatch(/FAIL hostile run/);
    expect(part(mode)).toMatch(says);
    expect(part(mode)).not.toMatch(/PASS hostile/);
  });

test("other files do not notice, nothing is taken for a bug of ours, and nothing stays behind", () => {
  expect(ran.stdout).toMatch(/PASS the next machine is fine/);
  expect(ran.text).not.toMatch(/bug in provium/);
  expect(ran.code).toBe(1);
  expect(there.processes()).toEqual([]);
  expect(there.runDirectories()).toEqual([]);
  expect(existsSync("/tmp/owned")).toBe(false);
});

test("the host's processes keep their size", () => {
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(700);
});

test("no report has a control character of the guest in it", () => {
  expect(ran.text).not.toMatch(CONTROL);
  for (const file of Object.values(reports))
    expect(readFileSync(join(there.directory, file), "utf8")).not.toMatch(CONTROL);
});
