import { afterAll, expect, test } from "bun:test";
import { linkSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TerminalPrompt } from "../../../src/cli/terminal-prompt.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-prompt-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("a prompt that begins while another one notes a line reads the whole history", () => {
  const file = join(directory, "history");
  writeFileSync(file, "one\n");
  // What the reader has open.
  linkSync(file, join(directory, "reader"));
  const prompt = new TerminalPrompt(() => "", file);
  (prompt as unknown as { remember(history: readonly string[]): void }).remember(["two", "one"]);
  expect(readFileSync(file, "utf8")).toBe("one\ntwo\n");
  expect(readFileSync(join(directory, "reader"), "utf8")).toBe("one\n");
});
