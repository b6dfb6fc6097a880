import { afterAll, expect, test } from "bun:test";
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryCopy } from "../../../src/sys/memory-file.ts";
import { Reactor } from "../../../src/sys/reactor.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-memory-"));
afterAll(() => rmSync(directory, { recursive: true }));
const path = join(directory, "file");

/** Runs `look` on the copy of the file at `path`. */
const copied = (look: (copy: number, name: string) => void): void => {
  const fd = openSync(path, "r");
  const copy = new Reactor().run(memoryCopy(fd, "name"));
  closeSync(fd);
  try {
    look(copy, `/proc/self/fd/${copy}`);
  } finally {
    closeSync(copy);
  }
};

test("a copy has the content, holes take no memory, and it can be opened again for writing", () => {
  const data = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i % 251));
  writeFileSync(path, data);
  truncateSync(path, 64 * 2 ** 20);
  copied((copy, name) => {
    const { size, blocks } = fstatSync(copy);
    expect(size).toBe(64 * 2 ** 20);
    expect(blocks * 512).toBeLessThan(2 ** 21);
    expect(readFileSync(name).subarray(0, data.length).equals(data)).toBe(true);
    const again = openSync(name, "r+");
    writeSync(again, "changed");
    closeSync(again);
    expect(readFileSync(name).toString("latin1", 0, 7)).toBe("changed");
  });
  expect(readFileSync(path).subarray(0, data.length).equals(data)).toBe(true);
});

test("an empty file has an empty copy", () => {
  writeFileSync(path, "");
  copied((copy) => expect(fstatSync(copy).size).toBe(0));
});
