import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageFormat, rootDiskArguments } from "../../../src/vmm/root-disk.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-root-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("an image is qcow2 by its first bytes, else raw", () => {
  const image = (head: string): string => {
    const path = join(directory, "image");
    writeFileSync(path, Buffer.from(head, "latin1"));
    return path;
  };
  expect(imageFormat(image("QFI\xfb\0\0\0\x03"))).toBe("qcow2");
  expect(imageFormat(image("\0".repeat(512)))).toBe("raw");
  expect(imageFormat(image(""))).toBe("raw");
});

test("the image is written only where the profile says so", () => {
  const [, drive] = rootDiskArguments({ path: "/a,b.img", writable: false }, "raw");
  expect(drive).toBe("if=none,id=root,format=raw,snapshot=on,discard=unmap,file=/a,,b.img");
  expect(rootDiskArguments({ path: "/i", writable: true }, "qcow2")[1]).toContain("snapshot=off");
});
