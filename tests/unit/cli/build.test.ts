import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildProfiles } from "../../../src/cli/build.ts";
import { parseConfig } from "../../../src/config/load.ts";
import type { Profile } from "../../../src/config/schema.ts";
import { FileLock } from "../../../src/sys/lock.ts";

const HELPER = resolve(import.meta.dir, "../../../build/agent/provium-helper");
const directory = mkdtempSync(join(tmpdir(), "provium-build-"));
afterAll(() => rmSync(directory, { recursive: true }));

const CONFIG = '[profiles.mine]\nbuild = "touch {out}/kernel"\nbuild_out = "out"\nkernel = "{out}/kernel"\n';
const profile = parseConfig(join(directory, "provium.toml"), CONFIG, {}).profiles.mine as Profile;

test("who waits for somebody else's build can be interrupted; the next one waits for its end", async () => {
  const other = FileLock.attempt(join(directory, ".out.lock")) as FileLock;
  const said: string[] = [];
  const build = (waiting: (interrupt: ((reason: string) => void) | undefined) => void): Promise<void> => {
    let listener: ((reason: string) => void) | undefined;
    return buildProfiles([profile], {
      helper: HELPER,
      environment: process.env,
      show: false,
      say: (text) => {
        said.push(text.replace(/\(.*/, ""));
        if (text.startsWith("somebody")) waiting(listener);
      },
      onInterrupt: (interrupt) => {
        listener = interrupt;
      },
    });
  };
  const waits = `somebody else builds into ${join(directory, "out")}; waiting`;
  // Where nobody listens the other build ends, so that this one does.
  const interrupted = build((interrupt) => (interrupt ? interrupt("enough") : other.close()));
  await expect(interrupted).rejects.toThrow("profile `mine`: enough");
  expect(said).toEqual([waits]);
  await build(() => other.close());
  expect(said).toEqual([waits, waits, "profile `mine` was built "]);
  expect(existsSync(join(directory, "out/kernel"))).toBe(true);
});
