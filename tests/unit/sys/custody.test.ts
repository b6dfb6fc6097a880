import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { foreignHand } from "../../../src/sys/custody.ts";

let above: string;
let directory: string;

beforeEach(() => {
  above = mkdtempSync(join(tmpdir(), "provium-test-"));
  directory = join(above, "cache");
  mkdirSync(directory);
});
afterEach(() => rmSync(above, { recursive: true, force: true }));

test("a directory of our own is relied upon, also where a group may write or everybody may write beside it", () => {
  expect(foreignHand(directory)).toBeUndefined();
  chmodSync(directory, 0o775);
  chmodSync(above, 0o1777);
  expect(foreignHand(directory)).toBeUndefined();
  expect(foreignHand(join(directory, "nothing"))).toBeUndefined();
});

test("a directory to which everybody may write is not, sticky or not", () => {
  for (const mode of [0o777, 0o1777, 0o702]) {
    chmodSync(directory, mode);
    expect(foreignHand(directory)).toBe("everybody may write to it");
  }
});

test("another user's directory is relied upon only where that user cannot have put it", () => {
  // Only root can give something away.
  if (process.getuid?.() !== 0) return;
  chownSync(directory, 65534, 65534);
  expect(foreignHand(directory)).toBeUndefined();
  chmodSync(above, 0o1777);
  expect(foreignHand(directory)).toBe("it belongs to user 65534, who may have put it there");
  chmodSync(above, 0o755);
  chownSync(above, 65534, 65534);
  expect(foreignHand(directory)).toBe("it belongs to user 65534, who may have put it there");
});
