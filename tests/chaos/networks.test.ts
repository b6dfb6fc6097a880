/** Deaths of what carries the frames: the test hears of it at its next call, the next file has its own, nothing stays. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { eventually, outcome, Project } from "./run.ts";

setDefaultTimeout(180_000);

const WAITS = `local a = provium:vm("a", "default", { memory = "128M" })
local lan = provium:bridge("lan")
lan:attach(a)
provium:boot()
test("loses its network", function(t)
  io.open("pending", "w"):close()
  wait_until(function() return io.open("go") ~= nil end, { timeout = "60s" })
  lan:isolate(a)
end)
test("goes on without it", function()
  a:run("true"):assert_ok()
end)
`;

const USES = `local a = provium:vm("a", "default", { memory = "128M" })
provium:bridge("lan"):attach(a)
provium:boot()
test("reaches the bridge", function() a:run("ping -c 1 -W 5 " .. provium.lan:ip()):assert_ok() end)
`;

const hostLinks = (): string =>
  Bun.spawnSync(["ip", "-o", "link"])
    .stdout.toString()
    .replace(/ +\d+: /g, " ");

for (const [backend, pattern, story] of [
  ["user", /provium-helper.* switch/, /switch.*(signal 9|SIGKILL)/],
  ["kernel", /provium-helper.* netns hold/, /holder of the test's network ended with signal 9/],
] as const)
  test(`${backend}: what carries the frames is killed in the middle of a test`, async () => {
    using project = new Project({ "a.test.lua": WAITS, "b.test.lua": USES });
    const links = hostLinks();
    const child = project.start(["--network", backend, "--jobs", "1", "-v", "a.test.lua", "b.test.lua"]);
    await eventually("the network stands", () => existsSync(join(project.directory, "pending")), 90_000);
    for (const { pid, command } of project.processes())
      if (pattern.test(command)) globalThis.process.kill(pid, "SIGKILL");
    project.write("go", "");
    const result = await outcome(child);
    expect(result.text).toMatch(/FAIL loses its network/);
    expect(result.text).toMatch(story);
    expect(result.text).toMatch(/PASS goes on without it/);
    expect(result.text).toMatch(/PASS b\.test\.lua/);
    await project.deserted();
    expect(hostLinks()).toBe(links);
  });

test("kill -9 of the dispatcher leaves no namespace, no interface and no process of either backend", async () => {
  for (const backend of ["user", "kernel"]) {
    using project = new Project({ "a.test.lua": WAITS });
    const links = hostLinks();
    const child = project.start(["--network", backend, "a.test.lua"]);
    await eventually("the network stands", () => existsSync(join(project.directory, "pending")), 90_000);
    child.kill("SIGKILL");
    await outcome(child);
    await project.deserted();
    expect(hostLinks()).toBe(links);
  }
});

test("two runs at once have networks of their own, with the same names and addresses", async () => {
  const talks = `local a = provium:vm("a", "default", { memory = "128M" })
provium:bridge("lan", { subnet = "10.1.2.0/24" }):attach(a)
provium:boot()
test("is alone with its bridge", function(t)
  io.open("pending", "w"):close()
  wait_until(function() return io.open("go") ~= nil end, { timeout = "90s" })
  a:run("ping -c 1 -W 5 10.1.2.1"):assert_ok()
  local capture = provium.lan:capture()
  a:run("ping -c 2 -W 5 -b 10.1.2.255")
  for _, packet in ipairs(provium.pcap(capture:bytes())) do
    if packet.ip and packet.ip.version == 4 and packet.ip.src ~= "10.1.2.1" then t:assert_eq(packet.ip.src, "10.1.2.10") end
  end
  t:assert_eq(a:nic("lan"):counters().errors, 0)
end)
`;
  for (const backend of ["user", "kernel"]) {
    using one = new Project({ "a.test.lua": talks });
    using two = new Project({ "a.test.lua": talks });
    const links = hostLinks();
    const runs = [one, two].map((project) => project.start(["--network", backend, "a.test.lua"]));
    for (const project of [one, two])
      await eventually("both stand", () => existsSync(join(project.directory, "pending")), 120_000);
    for (const project of [one, two]) project.write("go", "");
    for (const child of runs) {
      const { code, text } = await outcome(child);
      expect({ code, text }).toMatchObject({ code: 0 });
    }
    expect(hostLinks()).toBe(links);
  }
});
