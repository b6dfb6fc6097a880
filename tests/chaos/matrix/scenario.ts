/**
 * The test files of a cell: `a.test.lua` reaches the phase, says so, and goes on; `b.test.lua` is another file that must
 * not notice anything.
 */

import type { Phase, Stage } from "./table.ts";

/** Written when the phase has begun, with the runner's process id in it. */
export const MARK = "mark";
/** Written when what the phase is about is over: a fault that comes later has missed it. */
export const DONE = "done";
/** Written by the driver once the fault is there: an idle test goes on. */
export const GO = "go";

export const BYSTANDER = `test("b", function(t) t:assert_eq(1, 1) end)\n`;

/** What is set up before the phase. */
const BEFORE: Readonly<Record<Stage, string>> = {
  local: "local on = g\n",
  worker: "local on\n",
  machine: "local on = g\n",
  network: `local on = g\nlocal lan = provium:bridge("lan")\nlan:attach(g)\n`,
  disk: "local on = g\n",
};

const BOOT: Readonly<Record<Stage, string>> = {
  local: "g:boot()",
  worker: "g:boot()",
  machine: "g:boot()",
  network: "g:boot()",
  disk: `g:boot{ disks = { { id = "d", size = "8M" } } }`,
};

/** A command that takes a few seconds, uses what the stage is about, and prints "end" when all was well. */
const work = (stage: Stage): string => {
  if (stage === "network")
    return `"ping -c 8 -i 0.5 -W 5 " .. lan:ip() .. " | grep -q ' 0% packet loss' && echo end"`;
  if (stage === "disk")
    return `"for i in $(seq 1 20); do dd if=/dev/zero of=" .. g:disk("d"):guest_path() .. " bs=64k count=4 oflag=direct 2>/dev/null || exit 1; sleep 0.1; done; echo end"`;
  return `"for i in $(seq 1 20); do echo $i; sleep 0.1; done; echo end"`;
};

const body = (stage: Stage, phase: Phase): string => {
  const check = `t:assert_contains(on:run(${work(stage)}):assert_ok().stdout, "end")`;
  switch (phase) {
    case "boot":
      return stage === "worker" ? `on = g:spawn_worker() ${check}` : `${BOOT[stage]} ${check}`;
    case "call":
      return check;
    case "stream":
      return `local p = on:run_async(${work(stage)}) t:assert_contains(p:stdout_stream():read_until("end", 120), "end")`;
    case "snapshot":
      return `g:snapshot() ${check}`;
    case "restore":
      return `g:shutdown() g:restore(saved) ${check}`;
    case "shutdown":
      // An agent of this host is gone in no time: it goes several times, so that the fault meets one of them.
      if (stage === "worker") return "for i = 1, 200 do on:close() on = g:spawn_worker() end";
      return stage === "local" ? "for i = 1, 20 do g:shutdown() g:boot() end g:shutdown()" : "g:shutdown()";
    case "idle":
      return `wait_until(function() local f = io.open("${GO}") if f then f:close() end return f ~= nil end, { timeout = 120, interval = 0.1 })
  ${check}`;
  }
};

/** `again`: the test after this one boots another machine. */
export const victim = (stage: Stage, phase: Phase, again: boolean): string => `
local pid = io.open("/proc/self/stat"):read("n")
local g = provium:vm("g", "default", { memory = "128M" })
${BEFORE[stage]}${phase === "boot" && stage !== "worker" ? "" : `${BOOT[stage]}\n`}${
  stage === "worker" && phase !== "boot" ? "on = g:spawn_worker()\n" : ""
}${phase === "restore" ? `local saved = g:snapshot()\n` : ""}
test("main", function(t)
  local f = io.open("${MARK}.new", "w") f:write(tostring(pid)) f:close() os.rename("${MARK}.new", "${MARK}")
  ${body(stage, phase)}
  io.open("${DONE}", "w"):close()
end)
test("after", function(t)
  ${again ? `t:assert_eq(provium:vm("h", "default", { memory = "128M" }):boot():run("echo x").stdout, "x\\n")` : `t:log("reached")`}
end)
`;
