/** The way out through the host's kernel, on a host of its own that is there for one run. */

import { test as claimed, expect, setDefaultTimeout } from "bun:test";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { EXECUTABLE, eventually, outcome, Project } from "./run.ts";

setDefaultTimeout(180_000);

const HOST = resolve(import.meta.dir, "uplink/host.sh");

/** Another host needs root for its namespaces, and the kernel's bridge for its uplink. */
const lacking =
  process.geteuid?.() === 0
    ? ["unshare", "ip", "tc", "nft"].find(
        (program) => Bun.which(program, { PATH: "/usr/sbin:/sbin:/usr/bin:/bin" }) === null,
      )
    : "root";
const test = (title: string, claim: () => Promise<void>): void =>
  claimed(title, async () => {
    if (lacking === undefined) return claim();
    console.log(`not asked: no ${lacking}`);
  });

const on = (project: Project, settings: Readonly<Record<string, string>> = {}) =>
  project.start(["--network", "kernel", "-v", "a.test.lua"], settings, [HOST]);

/** Tells everybody who calls as whom. */
const CALLER = `Bun.listen({
  hostname: "198.51.100.7",
  port: 80,
  socket: { open: (socket) => socket.end(socket.remoteAddress), data: () => undefined },
});
`;

const REACHES = `local a = provium:vm("a", "default", { memory = "128M" })
local lan = provium:bridge("lan")
lan:attach(a)
provium:boot()
local function reaches(address)
  return a:run("ping -c 1 -W 2 " .. address):ok()
end
-- What must come may take its time on a busy host; ping ends with the first answer.
local function answers(address)
  return a:run("ping -c 1 -W 20 " .. address):ok()
end
test("out and back, as long as it is wished for", function(t)
  t:assert(not reaches("198.51.100.7"))
  lan:enable_uplink()
  t:assert_eq(lan:uplink(), "masquerade")
  t:assert(wait_until(function() return reaches("198.51.100.7") end, { timeout = "60s" }), "the far end of the world")
  t:assert_eq(a:run("nc -w 20 198.51.100.7 80").stdout, "203.0.113.2")
  t:assert(answers("203.0.113.2"), "the host by its own address")
  t:assert(answers((lan:ip():gsub("%.1$", ".2"))), "the host by the uplink's")
  t:assert_raises(function() lan:enable_uplink("user") end)
  lan:isolate(a)
  t:assert(not reaches("198.51.100.7"))
  lan:reset()
  t:assert(answers("198.51.100.7"))
  lan:disable_uplink()
  t:assert_eq(lan:uplink(), nil)
  t:assert(not reaches("198.51.100.7"))
  lan:enable_uplink("masquerade")
  t:assert(wait_until(function() return reaches("198.51.100.7") end, { timeout = "60s" }), "again")
end)
`;

test("a guest reaches the world as its host, and the host is afterwards as before", async () => {
  using project = new Project({ "a.test.lua": REACHES });
  const SERVER = `${process.execPath} ${project.write("caller.ts", CALLER)}`;
  const { code, text } = await outcome(on(project, { SERVER }));
  expect({ code, text }).toMatchObject({ code: 0 });
  expect(text).toContain("left on the host: nothing");
});

const HOLDS = `provium:bridge("lan"):enable_uplink("masquerade")
test("holds it", function(t)
  io.open("pending", "w"):close()
  wait_until(function() return io.open("go") ~= nil end, { timeout = "60s" })
end)
`;

const inNamespaceOf = (pid: number, ...command: string[]): string =>
  Bun.spawnSync(["nsenter", "-t", String(pid), "-n", ...command]).stdout.toString();

test("kill -9 of the dispatcher leaves no link, no rule and no process on the host", async () => {
  using project = new Project({ "a.test.lua": HOLDS });
  const child = on(project, { HOME: project.directory });
  await eventually("the uplink stands", () => existsSync(join(project.directory, "pending")), 90_000);
  const [dispatcher] = project
    .processes()
    .filter(({ command }) => command.startsWith(`${EXECUTABLE} --network`));
  const { pid } = dispatcher as { pid: number };
  const link = /: (pv[0-9a-f]+)@/.exec(inNamespaceOf(pid, "ip", "-o", "link"))?.[1] as string;
  expect(inNamespaceOf(pid, "nft", "list", "table", "ip", link)).toContain("masquerade");
  process.kill(pid, "SIGKILL");
  expect((await outcome(child)).text).toContain("left on the host: nothing");
  await project.deserted();
  expect(existsSync(join(project.directory, ".nft.history"))).toBe(false);
});

const CHOOSES = `local lan = provium:bridge("lan")
lan:enable_uplink()
test("which way", function(t) t:assert_eq(lan:uplink(), "user") end)
test("insisting", function() lan:disable_uplink() lan:enable_uplink("masquerade") end)
`;

test("a host with a firewall of its own for forwarded packets is left alone unless one insists", async () => {
  using project = new Project({ "a.test.lua": CHOOSES });
  const RULES = "table inet own { chain forward { type filter hook forward priority 0; policy drop; }; }";
  const { code, text } = await outcome(on(project, { RULES }));
  expect({ code, text }).toMatchObject({ code: 0 });
});

test("a host that forwards nothing is not made to", async () => {
  using project = new Project({ "a.test.lua": CHOOSES });
  const { text } = await outcome(on(project, { FORWARD: "0" }));
  expect(text).toMatch(/PASS which way/);
  expect(text).toContain(
    'bridge:enable_uplink("masquerade"): this host does not forward packets (net.ipv4.conf.uplink.forwarding is 0)',
  );
});
