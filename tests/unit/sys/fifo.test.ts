import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFifo } from "../../../src/sys/fifo.ts";
import { closeFd, EAGAIN, readSome, writeSome } from "../../../src/sys/libc.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-fifo-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("small writes are packed: thousands of lines fit before anybody reads", () => {
  const fd = openFifo(join(directory, "console"), 256 * 1024);
  const line = new TextEncoder().encode("one line of a console\n");
  let said = 0;
  for (; said < 8000 * line.byteLength; said += line.byteLength)
    expect(writeSome(fd, line)).toBe(line.byteLength);
  const into = new Uint8Array(2 * said);
  expect(readSome(fd, into)).toBe(said);
  // Nobody else has it open, and still it has not ended.
  expect(readSome(fd, into)).toBe(-EAGAIN);
  closeFd(fd);
});

test("it is nobody else's, and takes the place of what was there", () => {
  const path = join(directory, "again");
  for (let i = 0; i < 2; i++) closeFd(openFifo(path));
  expect(statSync(path).isFIFO()).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("where it cannot be made the error says why", () => {
  expect(() => openFifo(join(directory, "missing", "fifo"))).toThrow(
    "mkfifo: No such file or directory (ENOENT)",
  );
});
