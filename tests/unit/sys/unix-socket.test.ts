import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd } from "../../../src/sys/libc.ts";
import { listenerWithClient } from "../../../src/sys/unix-socket.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-socket-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("a listening socket and its client leave no name behind, however long the directory's is", () => {
  const long = join(directory, "d".repeat(200));
  mkdirSync(long);
  const { listening, client } = listenerWithClient(long);
  expect(listening).not.toBe(client);
  expect(readdirSync(long)).toEqual([]);
  closeFd(listening);
  closeFd(client);
});

test("a directory that is not there is an error, and no descriptor stays open", () => {
  const before = readdirSync("/proc/self/fd").length;
  expect(() => listenerWithClient(join(directory, "nosuch"))).toThrow("ENOENT");
  expect(readdirSync("/proc/self/fd").length).toBe(before);
});
