import { expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";

/** In a process of its own, whose standard input is ours to choose. */
const SCRIPT = `
  const { PipedPrompt } = await import("${join(import.meta.dir, "../../../src/cli/piped-prompt.ts")}");
  const prompt = new PipedPrompt();
  prompt.meet({ backlog: () => {} });
  prompt.hear({ tell: "ready", vm: "repl" }, ({ say }) => console.log(say, prompt.failed));`;

test("standard input that cannot be read is said, and ends the prompt as a failure", () => {
  const directory = openSync(import.meta.dir, "r");
  const { stdout, stderr, exitCode } = Bun.spawnSync([process.execPath, "-e", SCRIPT], { stdin: directory });
  closeSync(directory);
  expect(stdout.toString()).toBe("bye true\n");
  expect(stderr.toString()).toBe("provium repl: standard input cannot be read (EISDIR)\n");
  expect(exitCode).toBe(0);
});
