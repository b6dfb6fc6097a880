/**
 * The test files of a cell: `a.test.lua` reaches the phase, says so, and goes on; `b.test.lua` is another file that must
 * not notice anything. Where the phase is the build of a fixture, the fixture says so, and `a.test.lua` asks for it.
 */

import { guestFault } from "./guest-faults.ts";
import type { Cell, Phase, Stage } from "./table.ts";

/** Written when the phase has begun, with the id of the runner that is in it. */
export const MARK = "mark";
/** Written when what the phase is about is over: a fault that comes later has missed it. */
export const DONE = "done";
/** Written by the driver once the fault is there: an idle test goes on. */
export const GO = "go";

const BYSTANDER = `test("b", function(t) t:assert_eq(1, 1) end)\n`;

const MACHINE = `provium:vm("g", "default", { memory = "128M" })`;
const OTHER_ANSWERS = `t:assert_eq(provium:vm("h", "default", { memory = "128M" }):boot():run("echo x").stdout, "x\\n")`;

/** What is set up before the phase. */
const BEFORE: Readonly<Record<Stage, string>> = {
  local: "local on = g",
  worker: "local on",
  machine: "local on = g",
  network: `local on = g\nlocal lan = provium:bridge("lan")\nlan:attach(g)`,
  kernel: `local on = g\nlocal lan = provium:bridge("lan")\nlan:attach(g)`,
  disk: "local on = g",
  guest: "local on = g",
};

const bootOf = (stage: Stage): string =>
  stage === "disk" ? `g:boot{ disks = { { id = "d", size = "8M" } } }` : "g:boot()";

/** A command that takes a few seconds, uses what the stage is about, and prints "end" when all was well. */
const work = (stage: Stage): string => {
  switch (stage) {
    case "network":
    case "kernel":
      return `"ping -c 8 -i 0.5 -W 5 " .. lan:ip() .. " | grep -q ' 0% packet loss' && echo end"`;
    case "disk":
      return `"for i in $(seq 1 20); do dd if=/dev/zero of=" .. g:disk("d"):guest_path() .. " bs=64k count=4 oflag=direct 2>/dev/null || exit 1; sleep 0.1; done; echo end"`;
    default:
      return `"for i in $(seq 1 20); do echo $i; sleep 0.1; done; echo end"`;
  }
};

/** Frames of the kernel's bridge pass without its holder: only who asks for the namespace hears that it is gone. */
const ASKS = ` g:nic("lan"):counters()`;
const workDone = (stage: Stage): string =>
  `assert(on:run(${work(stage)}):assert_ok().stdout:find("end"))${stage === "kernel" ? ASKS : ""}`;

/** Whether the fault is there. */
const IS_THERE = `io.open("${GO}") ~= nil`;

const body = (stage: Stage, phase: Phase): string => {
  const check = workDone(stage);
  switch (phase) {
    case "boot":
      return stage === "worker" ? `on = g:spawn_worker() ${check}` : `${bootOf(stage)} ${check}`;
    case "call":
      return check;
    case "stream":
      return `local p = on:run_async(${work(stage)}) t:assert_contains(p:stdout_stream():read_until("end", 120), "end")${stage === "kernel" ? ASKS : ""}`;
    case "snapshot":
      return `g:snapshot() ${check}`;
    case "restore":
      return `g:restore(saved) ${check}`;
    case "shutdown":
      // An agent of this host is gone in no time: it goes again until the fault has met one of them.
      if (stage === "worker") return `repeat on:close() on = g:spawn_worker() until ${IS_THERE}`;
      return stage === "local" ? `repeat g:boot() g:shutdown() until ${IS_THERE}` : "g:shutdown()";
    case "idle":
      return `wait_until(function() return ${IS_THERE} end, { timeout = 120, interval = 0.1 })
  ${check}`;
    case "build":
      return `local lab = provium:lab_fixture("base") t:assert_eq(lab.g:run("echo x").stdout, "x\\n")`;
  }
};

/** Boots, works and returns its snapshot. Its runner's id is told by a shell: what a fixture reads is part of its key. */
const fixture = (stage: Stage): string => `
local g = ${MACHINE}
${BEFORE[stage]}
${bootOf(stage)}
os.execute("echo $PPID >${MARK}.new && mv ${MARK}.new ${MARK}")
${workDone(stage)}
return provium:snapshot()
`;

const SAYS_SO = `local f = io.open("${MARK}.new", "w") f:write(tostring(pid)) f:close() os.rename("${MARK}.new", "${MARK}")`;

/** What stands before the tests: a machine that is up unless the phase boots it. */
const setUp = ({ victim, phase, stage }: Cell): string => {
  if (phase === "build") return "";
  const worker = stage === "worker" || (stage === "guest" && victim === "worker");
  const boots = stage === "worker" || !(phase === "boot" || (stage === "local" && phase === "shutdown"));
  return [
    `local pid = io.open("/proc/self/stat"):read("n")`,
    `local g = ${MACHINE}`,
    BEFORE[stage],
    ...(boots ? [bootOf(stage)] : []),
    ...(worker && phase !== "boot" ? ["on = g:spawn_worker()"] : []),
    ...(phase === "restore" ? ["local saved = g:snapshot()", "g:shutdown()"] : []),
  ].join("\n");
};

/** Where the fault leaves nothing of a machine, or of the build of a fixture, the test after this one boots another. */
const bootsAnother = ({ victim, fault, phase, stage }: Cell): boolean =>
  phase === "build" || (fault === "kill" && (victim === "qemu" || stage === "local" || stage === "guest"));

const tests = (cell: Cell): string => {
  const { victim, fault, phase, stage } = cell;
  const inside = stage === "guest" ? guestFault(victim, fault) : undefined;
  const steps = [
    inside?.begin,
    phase === "build" ? undefined : SAYS_SO,
    body(stage, phase),
    `io.open("${DONE}", "w"):close()`,
    inside?.came,
  ];
  return `${setUp(cell)}
test("main", function(t)
  ${steps.filter((step) => step !== undefined).join("\n  ")}
end)
test("after", function(t)
  ${bootsAnother(cell) ? OTHER_ANSWERS : `t:log("reached")`}
end)
`;
};

/** What stands in the project of a cell. */
export const filesOf = (cell: Cell): Record<string, string> => ({
  "a.test.lua": tests(cell),
  "b.test.lua": BYSTANDER,
  ...(cell.phase === "build" ? { "base.fixture.lua": fixture(cell.stage) } : {}),
});
