/** Consumers that misbehave, and output without end: the run goes on, says so once, and its memory stays bounded. */

import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readRecording } from "../../src/events/recording.ts";
import type { ProviumEvent } from "../../src/events/types.ts";
import { orderProblems } from "../events/order.ts";
import { schemaProblems } from "../events/schema.ts";
import { eventually, outcome, Project } from "./run.ts";

const SMALL = `for i = 1, 50 do test("t" .. i, function(t) print(("x"):rep(4000)) end) end\n`;
const LOCAL = ["--vmm", "local"];

/** Starts a shell command in the project, with $PROVIUM as the executable. */
const shell = async (project: Project, command: string) => {
  const child = Bun.spawn(["bash", "-c", command], {
    cwd: project.directory,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, PROVIUM: join(process.cwd(), "dist/provium"), PROVIUM_TMPDIR: project.temp },
  });
  return outcome(child);
};

const eventsOf = (path: string): ProviumEvent[] => {
  const events: ProviumEvent[] = [];
  expect(readRecording(path, (event) => events.push(event))).toBe(true);
  return events;
};

test("a reader of the text that closes its pipe does not end the run", async () => {
  using project = new Project({ "a.test.lua": SMALL, "b.test.lua": SMALL });
  const result = await shell(
    project,
    `"$PROVIUM" -v --vmm local --save-events events | head -c 10 >/dev/null; echo "status \${PIPESTATUS[0]}"`,
  );
  expect(result.stdout).toBe("status 0\n");
  expect(result.stderr).not.toMatch(/EPIPE|bug/);
  expect(orderProblems(eventsOf(join(project.directory, "events")))).toEqual([]);
});

test("a reader of the events that closes its pipe does not end the run", async () => {
  using project = new Project({ "a.test.lua": SMALL, "b.test.lua": SMALL });
  const result = await shell(
    project,
    `"$PROVIUM" --vmm local --events-stdout | head -c 10 >/dev/null; echo "status \${PIPESTATUS[0]}"`,
  );
  expect(result.stdout).toBe("status 0\n");
  expect(result.stderr).toContain("100 passed");
  expect(result.stderr).not.toMatch(/EPIPE|bug/);
});

test("a full disk under --save-events is said once, the run goes on and the exit status tells", async () => {
  using project = new Project({ "a.test.lua": SMALL, "b.test.lua": SMALL });
  const result = await project.run([...LOCAL, "--save-events", "/dev/full"]);
  expect(result.stderr.match(/--save-events \/dev\/full: ENOSPC/g)).toHaveLength(1);
  expect(result.stdout).toContain("2 file(s); 100 passed, 0 failed");
  expect(result.code).toBe(2);
});

test("a full disk under a report is said once, and the exit status tells", async () => {
  using project = new Project({ "a.test.lua": SMALL });
  const result = await project.run([...LOCAL, "--reporter", "json=/dev/full"]);
  expect(result.stderr.match(/--reporter json=\/dev\/full: ENOSPC/g)).toHaveLength(1);
  expect(result.stdout).toContain("50 passed");
  expect(result.code).toBe(2);
});

for (const name of ["plain", "junit"])
  test(`a full disk under the ${name} report on standard output is said, and the exit status tells`, async () => {
    using project = new Project({ "a.test.lua": SMALL });
    const result = await shell(project, `"$PROVIUM" --vmm local --reporter ${name} > /dev/full`);
    expect(result.stderr).toContain(`--reporter ${name}: ENOSPC`);
    expect(result.code).toBe(2);
  });

/** The most memory that a process has had, in MiB. */
const peak = (pid: number): number => {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
};

test("a file that prints a gigabyte is run in bounded memory, also with a reader that is slow", async () => {
  using project = new Project({
    "a.test.lua": `test("prints", function(t)
      local piece = ("y"):rep(1023) .. "\\n"
      piece = piece:rep(1024)
      for i = 1, 1024 do io.write(piece) end
    end)\n`,
  });
  const child = project.start([...LOCAL, "--events-stdout"]);
  let most = 0;
  let bytes = 0;
  const reading = (async () => {
    for await (const chunk of child.stdout) {
      bytes += chunk.byteLength;
      if (bytes % 64 === 0) await Bun.sleep(0);
    }
  })();
  const watch = setInterval(() => {
    most = Math.max(most, ...project.processes().map(({ pid }) => peak(pid)), peak(child.pid));
  }, 50);
  const text = new Response(child.stderr).text();
  await child.exited;
  await reading;
  clearInterval(watch);
  expect(await text).toContain("1 passed, 0 failed");
  expect(bytes).toBeGreaterThan(1024 ** 3);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(600);
});

test("a reader that takes nothing holds tests up instead of filling the memory", async () => {
  using project = new Project({
    "a.test.lua": `test("prints", function(t)
      for i = 1, 4096 do io.write(("z"):rep(1024 * 1024)) end
    end)\n`,
  });
  const child = project.start([...LOCAL, "--events-stdout", "--timeout", "3"]);
  // Nobody reads child.stdout: the file runs into its deadline, and the dispatcher is as small as before.
  const reader = child.stderr.getReader();
  let text = "";
  while (!text.includes("file(s)")) {
    const { done, value } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  expect(text).toContain("TIME a.test.lua");
  expect(peak(child.pid)).toBeLessThan(600);
  child.kill();
  await child.exited;
  await project.deserted();
});

test("every pair is closed when runners crash and when the run is interrupted", async () => {
  using project = new Project({
    "a.test.lua": `local a = provium:vm("a", "default"):boot()
      test("one", function() end)
      test("kills", function(t)
        local me = io.open("/proc/self/stat"):read("n")
        os.execute("kill -9 " .. me)
        while true do end
      end)\n`,
    "b.test.lua": `local b = provium:vm("b", "default"):boot()
      test("waits", function(t) b:run("sleep 600") end)
      test("never", function() end)\n`,
    "c.test.lua": `test("three", function() end)\n`,
  });
  const child = project.start([...LOCAL, "--jobs", "1", "--save-events", "events"]);
  const recorded = join(project.directory, "events");
  await eventually(
    "the second file waits",
    () => existsSync(recorded) && readFileSync(recorded, "latin1").includes("waits"),
    60_000,
  );
  child.kill("SIGINT");
  const result = await outcome(child);
  expect(result.code).toBe(130);
  const events = eventsOf(recorded);
  expect(events.flatMap(schemaProblems)).toEqual([]);
  expect(orderProblems(events)).toEqual([]);
  const ends = events.flatMap((event) =>
    event.kind === "file_completed" ? [`${event.payload.path} ${event.payload.status}`] : [],
  );
  expect(ends).toEqual(["a.test.lua crashed", "b.test.lua failed", "c.test.lua not_run"]);
});
