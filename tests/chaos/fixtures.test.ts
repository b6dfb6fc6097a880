/** Fixtures when things go wrong around them: several runs at once, killed builders, damaged entries, full disks. */

import { expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { readRecording } from "../../src/events/recording.ts";
import { EXECUTABLE, eventually, outcome, Project } from "./run.ts";

const BASE = `local vm = provium:vm("base", "default", { memory = "128M" }):boot()
local gate = io.open("gate")
if gate then gate:close() while not io.open("go") do vm:run("sleep 0.1") end end
vm:run("mkdir -p /srv")
vm:write_file("/srv/base", "base")
return vm:snapshot()
`;
const STACKED = `local vm = provium:vm_fixture("base")
vm:write_file("/srv/stacked", "stacked")
return vm:snapshot()
`;
const TEST = `test("restores", function(t)
  t:assert_eq(provium:vm_fixture("base"):read_file("/srv/base"), "base")
end)
`;
const COLD = `test("boots by itself", function(t)
  t:assert(provium:vm("own", "default", { memory = "128M" }):boot():run("true"):ok())
end)
`;

const project = (files: Readonly<Record<string, string>> = {}): Project =>
  new Project({
    "provium.toml": '[provium]\nroots = ["."]\ncache_dir = "cache"\n',
    "base.fixture.lua": BASE,
    "a.test.lua": TEST,
    ...files,
  });

const kinds = (at: Project, name: string): string[] => {
  const found: string[] = [];
  readRecording(join(at.directory, name), (event) => found.push(event.kind));
  return found;
};

const entries = (at: Project): string[] => {
  const cache = join(at.directory, "cache");
  return existsSync(cache) ? readdirSync(cache).filter((name) => /\.(snap|lab)$/.test(name)) : [];
};

/** Files of an entry, the largest first. */
const filesOf = (at: Project): string[] => {
  const directory = join(at.directory, "cache", entries(at)[0] as string);
  const size = (name: string): number => statSync(name).size;
  return readdirSync(directory)
    .map((name) => join(directory, name))
    .sort((a, b) => size(b) - size(a));
};

const count = (list: readonly string[], kind: string): number => list.filter((it) => it === kind).length;

test("two runs at once build a fixture once and both pass", async () => {
  using at = project();
  const runs = ["one", "two"].map((name) => outcome(at.start(["-v", "--save-events", name])));
  for (const result of await Promise.all(runs)) expect([result.text, result.code]).toEqual([result.text, 0]);
  const all = [...kinds(at, "one"), ...kinds(at, "two")];
  expect(count(all, "fixture_build_started")).toBe(1);
  expect(count(all, "fixture_build_done")).toBe(1);
  expect(entries(at)).toHaveLength(1);
  expect(readdirSync(join(at.directory, "cache")).filter((name) => /^\.|build$/.test(name))).toEqual([]);
}, 600_000);

test("with one job a file gets a fixture that is built on another", async () => {
  using at = project({
    "stacked.fixture.lua": STACKED,
    "a.test.lua": `test("stacked", function(t)
      local mine = provium:vm("mine", "default", { memory = "128M", cpus = 1 }):boot()
      local vm = provium:vm_fixture("stack" .. "ed")
      t:assert_eq(vm:read_file("/srv/base") .. vm:read_file("/srv/stacked"), "basestacked")
      t:assert(mine:run("true"):ok())
    end)`,
  });
  const result = await at.run(["--jobs", "1", "--cpus", "1", "-v"]);
  expect([result.text, result.code]).toEqual([result.text, 0]);
  expect(entries(at)).toHaveLength(2);
}, 600_000);

test("when a builder is killed with everything of its run, the one that waits builds", async () => {
  using at = project({ gate: "" });
  const first = at.start(["--save-events", "one"]);
  const building = (): boolean => readdirSync(at.directory).includes("cache") && entriesUnderWay(at) > 0;
  await eventually("the first run builds", building, 60_000);
  const second = at.start(["-v", "--save-events", "two"]);
  const waits = (): boolean =>
    existsSync(join(at.directory, "two")) && kinds(at, "two").includes("fixture_build_waiting");
  await eventually("the second run waits", waits, 60_000);
  first.kill("SIGKILL");
  await first.exited;
  at.write("go", "");
  const result = await outcome(second);
  expect([result.text, result.code]).toEqual([result.text, 0]);
  expect(count(kinds(at, "two"), "fixture_build_done")).toBe(1);
  await at.deserted();
  expect(entries(at)).toHaveLength(1);
  expect(entriesUnderWay(at)).toBe(0);
}, 600_000);

const entriesUnderWay = (at: Project): number =>
  readdirSync(join(at.directory, "cache")).filter((name) => name.startsWith(".new-")).length;

test("an entry that was cut off or lost a file is built anew, once, with a warning", async () => {
  using at = project();
  expect((await at.run([])).code).toBe(0);
  for (const [index, damage] of [
    (path: string) => truncateSync(path, Math.floor(statSync(path).size / 2)),
    (path: string) => truncateSync(path, 0),
    (path: string) => rmSync(path),
  ].entries()) {
    damage(filesOf(at)[index] as string);
    const result = await at.run(["-v", "--save-events", "events"]);
    expect([result.text, result.code]).toEqual([result.text, 0]);
    expect(result.text).toContain("warning: fixture `base` cannot be restored and is built anew");
    expect(count(kinds(at, "events"), "fixture_build_done")).toBe(1);
    expect(count(kinds(at, "events"), "fixture_cache_hit")).toBe(0);
  }
  const result = await at.run(["-v"]);
  expect(result.text).toContain("fixture base restored from the cache");
}, 600_000);

test("a fixture is stale when something has changed that its build was seen to use, and only then", async () => {
  const toml = '[provium]\nroots = ["."]\ncache_dir = "cache"\ncache_compress = true\n';
  const mine = (cmdline: string): string =>
    `${toml}[profile.mine]\nkernel = "embedded"\ncmdline = "${cmdline}"\n`;
  const original = {
    "provium.toml": mine("quiet panic=-1"),
    "names.lua": 'return { pushed = "pushed" }',
    "pushed.txt": "1",
    "read.txt": "1",
    "declared.txt": "1",
    "inside.txt": "1",
  };
  using at = project({
    ...original,
    "base.fixture.lua": `local names = require("na" .. "mes")
      provium:depends_on_file("declared.txt")
      local vm = provium:vm("base", "mine", { memory = "128M" , files = { { path = "/inside", host = "inside" .. ".txt" } } }):boot()
      vm:push_file(names.pushed .. ".txt", "/pushed")
      vm:push_file("ignored.txt", "/ignored", { auto_dep = false })
      vm:write_file("/srv-read", io.open("read.txt"):read("a") .. (os.getenv("FIXTURE_WORD") or ""))
      vm:run("mkdir -p /srv")
      vm:write_file("/srv/base", "base")
      return vm`,
    "ignored.txt": "1",
  });
  const stale = async (env: Readonly<Record<string, string>> = {}): Promise<boolean> => {
    const result = await at.run(["fixture", "stale"], env);
    expect([result.stderr, result.code]).toEqual(["", 0]);
    return result.stdout.includes("\n1 stale fixture(s)");
  };
  expect(await stale()).toBe(true);
  const built = await at.run(["fixture", "build", "base"]);
  expect([built.text, built.code]).toEqual([built.text, 0]);
  expect(await stale()).toBe(false);
  const changed: Readonly<Record<string, string>> = {
    "provium.toml": mine("quiet panic=-1 nosmp"),
    "names.lua": 'return { pushed = "pushed", more = 1 }',
    "pushed.txt": "2",
    "read.txt": "2",
    "declared.txt": "2",
    "inside.txt": "2",
  };
  for (const [name, text] of Object.entries(original)) {
    at.write(name, changed[name] as string);
    expect([name, await stale()]).toEqual([name, true]);
    at.write(name, text);
    expect([name, await stale()]).toEqual([name, false]);
  }
  expect(await stale({ FIXTURE_WORD: "other" })).toBe(true);
  at.write("ignored.txt", "2");
  at.write("provium.toml", `${original["provium.toml"]}[profile.other]\nkernel = "embedded"\n`);
  expect(await stale()).toBe(false);
  const result = await at.run(["-v"]);
  expect([result.text, result.code]).toEqual([result.text, 0]);
  expect(result.text).toContain("fixture base restored from the cache");
  expect(filesOf(at)[0]).toMatch(/\.zst$/);
}, 600_000);

test("a machine whose fixture has left the cache goes on, and can be saved", async () => {
  using at = project({
    "a.test.lua": `test("saves", function(t)
      local vm = provium:vm_fixture("base")
      assert(os.execute("rm -r cache/*.snap"))
      vm:write_file("/srv/own", "own")
      local snapshot = vm:snapshot()
      vm:shutdown()
      vm:restore(snapshot)
      t:assert_eq(vm:read_file("/srv/base") .. vm:read_file("/srv/own"), "baseown")
    end)`,
  });
  const result = await at.run([]);
  expect([result.text, result.code]).toEqual([result.text, 0]);
}, 600_000);

test("a fixture that never ends is ended at the deadline, and its file fails with the reason", async () => {
  using at = project({ "base.fixture.lua": "print('for ever') while true do end", "b.test.lua": COLD });
  const result = await at.run(["--timeout", "4s"]);
  expect(result.text).toMatch(/FAIL a\.test\.lua|TIME a\.test\.lua/);
  expect(result.code).toBe(1);
  await at.deserted();
  expect(entriesUnderWay(at)).toBe(0);
}, 600_000);

test("Ctrl-C during a build ends it and leaves no half entry", async () => {
  using at = project({ gate: "" });
  const child = at.start([]);
  const building = (): boolean => existsSync(join(at.directory, "cache")) && entriesUnderWay(at) > 0;
  await eventually("it builds", building, 60_000);
  child.kill("SIGINT");
  const result = await outcome(child);
  expect([result.text, result.code]).toEqual([result.text, 130]);
  await at.deserted();
  expect([entries(at), entriesUnderWay(at)]).toEqual([[], 0]);
}, 600_000);

/** Runs a shell script where the project's cache is a file system of its own; undefined where that is not allowed. */
const mounted = async (at: Project, size: string, script: string) => {
  const setup = `mkdir -p cache && mount -t tmpfs -o mode=0700,size=${size} tmpfs cache`;
  const probe = Bun.spawnSync(["unshare", "-rm", "sh", "-c", setup], { cwd: at.directory });
  if (probe.exitCode !== 0) {
    console.log(`no file system can be mounted here: ${probe.stderr.toString().trim()}`);
    return undefined;
  }
  const child = Bun.spawn(["unshare", "-rm", "sh", "-c", `${setup} && ${script}`], {
    cwd: at.directory,
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1", PROVIUM_TMPDIR: at.temp, PROVIUM: EXECUTABLE },
  });
  return outcome(child as never);
};

test("a cache that is full fails the test that needs it, cleanly, and no other", async () => {
  using at = project({ "b.test.lua": COLD });
  const result = await mounted(at, "4m", '"$PROVIUM" -v; echo "status $?"; ls -A cache');
  if (result === undefined) return;
  expect(result.text).toContain("FAIL a.test.lua");
  expect(result.text).toMatch(/fixture `base` could not be built: .*no space/);
  expect(result.text).toContain("PASS b.test.lua");
  expect(result.text).toContain("status 1");
  expect(
    result.stdout
      .split("status 1\n")[1]
      ?.split("\n")
      .filter((name) => !/^(hashes\.json)?$/.test(name)),
  ).toEqual([]);
}, 600_000);

test("a cache in memory works, also when it has become read-only; what is missing there is refused", async () => {
  using at = project({
    "other.fixture.lua": BASE.replaceAll("base", "other"),
    "b.test.lua": TEST.replaceAll("base", "other"),
  });
  const script = `"$PROVIUM" a.test.lua && mount -o remount,ro cache && "$PROVIUM" -v a.test.lua b.test.lua; echo "status $?"`;
  const result = await mounted(at, "256m", script);
  if (result === undefined) return;
  expect(result.text).toContain("fixture base restored from the cache");
  expect(result.text).toMatch(/fixture `other` could not be built: the fixture cache .* read-only/);
  expect(result.text).toContain("status 1");
}, 600_000);
