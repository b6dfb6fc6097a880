import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Changes } from "../../../src/cli/watch.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-watch-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Changes a file; returns when that has been noticed. */
const change = async (changes: Changes): Promise<void> => {
  const { changed } = changes as unknown as { readonly changed: ReadonlySet<string> };
  do {
    writeFileSync(join(directory, "a.test.lua"), "");
    await Bun.sleep(1);
  } while (changed.size === 0);
};

test("what changed while nobody waited is handed out, and then nothing is until something changes again", async () => {
  using changes = new Changes([directory]);
  await change(changes);
  expect([...(await changes.next(new Promise(() => {})))]).toEqual([join(directory, "a.test.lua")]);
  // Much longer than a change takes to settle.
  let interrupted = false;
  const interruption = Bun.sleep(600).then(() => {
    interrupted = true;
  });
  // One change may be told in several steps, on a busy host with time in between.
  while ((await changes.next(interruption)).size > 0);
  expect(interrupted).toBe(true);
});

test("who interrupts ends the waiting although something has just changed", async () => {
  using changes = new Changes([directory]);
  const { promise, resolve } = Promise.withResolvers<void>();
  const told = changes.next(promise);
  await change(changes);
  resolve();
  expect((await told).size).toBe(0);
});

/** Waits until `path` has changed; everything that has until then. */
const until = async (changes: Changes, path: string): Promise<Set<string>> => {
  const seen = new Set<string>();
  while (!seen.has(path)) for (const one of await changes.next(new Promise(() => {}))) seen.add(one);
  return seen;
};

test("a place that is not there is awaited, however much of its path is missing", async () => {
  const place = join(directory, "not/yet");
  using changes = new Changes([place]);
  mkdirSync(join(directory, "not"));
  await until(changes, join(directory, "not"));
  changes.follow([place]);
  mkdirSync(place);
  await until(changes, place);
  changes.follow([place]);
  writeFileSync(join(place, "b.test.lua"), "");
  await until(changes, join(place, "b.test.lua"));
});

test("other places are watched when the configuration names them, and directories that were made anew", async () => {
  const [one, other] = [join(directory, "one"), join(directory, "other")];
  mkdirSync(one);
  mkdirSync(other);
  using changes = new Changes([one]);
  changes.follow([other]);
  writeFileSync(join(one, "a.test.lua"), "");
  writeFileSync(join(other, "a.test.lua"), "");
  expect(await until(changes, join(other, "a.test.lua"))).not.toContain(join(one, "a.test.lua"));
  // The new one has another inode while the old one exists.
  renameSync(other, `${one}-before`);
  mkdirSync(other);
  changes.follow([other]);
  writeFileSync(join(other, "b.test.lua"), "");
  await until(changes, join(other, "b.test.lua"));
});

/** A round that cannot be made, and somebody who presses Ctrl-C as soon as he reads that he may. */
const PROMPT = `
  const { watchRounds } = await import("${join(import.meta.dir, "../../../src/cli/watch.ts")}");
  const options = { config: { roots: ["."] }, paths: [], directory: "." };
  const complain = (text) => {
    if (text.startsWith("watching")) process.kill(process.pid, "SIGINT");
  };
  console.log("status", await watchRounds(() => options, { PROVIUM_TMPDIR: "/dev/null/none" }, { complain }));`;

test("Ctrl-C counts from the moment on at which it is offered", () => {
  const { stdout, signalCode } = Bun.spawnSync([process.execPath, "-e", PROMPT], { cwd: directory });
  expect([stdout.toString(), signalCode]).toEqual(["status 2\n", undefined]);
});
