import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
