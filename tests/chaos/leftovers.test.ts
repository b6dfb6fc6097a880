/** The fault matrix claims that nothing is left; here something is, one of each kind. */

import { afterAll, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Lane } from "./matrix/lane.ts";

const lane = new Lane();
afterAll(() => lane[Symbol.dispose]());
lane.begin({});

const all = (): string[] => [...lane.alive(), ...lane.files()];

/** What there is of it while a program runs; the program says so on its first line, and ends with its standard input. */
const during = async (command: readonly string[], env: Record<string, string> = {}, look = all) => {
  const child = Bun.spawn([...command], {
    stdin: "pipe",
    stdout: "pipe",
    env: { PATH: process.env.PATH, ...env },
  });
  try {
    for await (const _ of child.stdout) return look().join("\n");
    throw new Error(`${command.join(" ")} said nothing`);
  } finally {
    child.stdin.end();
    await child.exited;
  }
};

const WAITS = "echo there; read _";

test("a lane in which nothing is left has no leftovers", () => {
  expect(all()).toEqual([]);
});

test("a process that carries the lane in its environment is seen", async () => {
  expect(await during(["sh", "-c", WAITS], { CHAOS_LANE: lane.directory })).toMatch(/^process \d+: sh -c/);
  expect(all()).toEqual([]);
});

test("a process without an environment is seen by its directory, and by a file that it holds", async () => {
  expect(await during(["sh", "-c", `cd ${lane.project}; ${WAITS}`])).toMatch(/^process \d+: sh -c/);
  expect(await during(["sh", "-c", `exec 9<${lane.clock}; ${WAITS}`])).toMatch(/^process \d+: sh -c/);
  expect(all()).toEqual([]);
});

test("a namespace is seen by whoever is in it, whatever else is known of that process", async () => {
  lane.begin({});
  const noted = (): string[] => {
    lane.namespaces.note(process.pid);
    return all();
  };
  expect(await during(["unshare", "--user", "--net", "sh", "-c", WAITS], {}, noted)).toMatch(
    /^namespace (net|user):\[\d+\] by process \d+$/,
  );
  expect(all()).toEqual([]);
});

test("a namespace that a mount keeps is seen after its last process has gone", async () => {
  lane.begin({});
  const kept = join(lane.project, "kept");
  writeFileSync(kept, "");
  const keeps = `mount --bind /proc/self/ns/uts ${kept}; ${WAITS}`;
  try {
    await during(["unshare", "--uts", "sh", "-c", keeps], {}, () => {
      lane.namespaces.note(process.pid);
      return [];
    });
    expect(all().join()).toMatch(/^namespace uts:\[\d+\] by a mount$/);
  } finally {
    Bun.spawnSync(["umount", kept]);
  }
  expect(all()).toEqual([]);
});

test("a socket of the lane is seen while it exists", () => {
  const path = join(lane.project, "socket");
  const server = Bun.listen({ unix: path, socket: { data() {} } });
  expect(all()).toEqual([`socket ${path}`]);
  server.stop(true);
  rmSync(path, { force: true });
  expect(all()).toEqual([]);
});

test.each([
  ["a run directory", "tmp/provium-0-x/lock", /^temporary provium-0-x$/],
  ["a temporary file in the wrong place", "elsewhere/x", /^temporary x, outside of PROVIUM_TMPDIR$/],
  ["a draft of a fixture", "cache/provium/fixtures/.new-0-1/ram", /^draft .*\/\.new-0-1$/],
  ["a fixture on its way out", "cache/provium/fixtures/.old-0/ram", /^draft .*\/\.old-0$/],
  ["a builder's lock", "cache/provium/fixtures/0.build", /^draft .*\/0\.build$/],
  ["a draft of an initramfs", "cache/provium/boot/initrd/0.cpio.1.2.new", /^draft .*\.new$/],
])("%s is seen", (_, path, told) => {
  const file = join(lane.directory, path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, "");
  expect(all().join()).toMatch(told);
  for (const name of ["tmp", "elsewhere", "cache"])
    rmSync(join(lane.directory, name), { recursive: true, force: true });
  expect(all()).toEqual([]);
});

test("shared memory is seen that was not there before", () => {
  const name = `/dev/shm/provium-${process.pid}`;
  writeFileSync(name, "");
  expect(all()).toEqual([`shared memory provium-${process.pid}`]);
  lane.begin({});
  expect(all()).toEqual([]);
  rmSync(name);
});
