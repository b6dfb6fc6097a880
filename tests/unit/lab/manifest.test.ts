import { describe, expect, test } from "bun:test";
import { checkManifest, type Manifest, readManifest, writeManifest } from "../../../src/lab/manifest.ts";

const MANIFEST: Manifest = {
  vm: "a",
  profile: "default",
  launch: {
    architecture: "x86_64",
    memoryBytes: 256 * 2 ** 20,
    cpus: 1,
    kernel: "/k",
    initrd: "/i",
    cmdline: "quiet",
    rngSeed: 2n ** 63n + 1n,
    qemuArgs: [],
    accel: "tcg",
    transport: "serial",
  },
  image: { qemu: "7.2.0", files: [{ name: "ram", bytes: 4096, checksum: "00" }], entropyRead: 12 },
  guest: {
    protocol: 2,
    agentVersion: "0.1.0",
    kernelRelease: "6.1",
    arch: "x86_64",
    features: [],
    boottimeNs: 2n ** 60n,
  },
  session: { token: 1, lastRequest: 7, lastProcess: 2, lastWorker: 1 },
  nics: [],
  disks: [],
};
const TEXT = writeManifest(MANIFEST);

describe("the manifest of a snapshot", () => {
  test("comes back as it was, integers beyond 2^53 too", () => {
    expect(readManifest(TEXT, "m")).toEqual(MANIFEST);
  });

  test("that was cut off anywhere is told from a whole one", () => {
    for (let size = 0; size < TEXT.length; size++)
      expect(() => readManifest(TEXT.slice(0, size), "/s/manifest.json")).toThrow("/s/manifest.json");
  });

  test("that was altered does not fit its checksum", () => {
    expect(() => readManifest(TEXT.replace('"cpus": 1', '"cpus": 2'), "m")).toThrow(
      "was cut off or altered: its checksum does not fit",
    );
  });

  test("of a later format is refused by its number", () => {
    expect(() => readManifest(TEXT.replace('_snapshot": 1', '_snapshot": 9'), "m")).toThrow(
      "has format 9, and this provium reads 1",
    );
  });
});

describe("a VM that is to go on from it", () => {
  const same = { vm: "b", accel: "tcg", transport: "serial" } as const;

  test("may be one that says nothing, or the same", () => {
    checkManifest(MANIFEST, same, "/s");
    checkManifest(MANIFEST, { ...same, memoryBytes: 256 * 2 ** 20, cpus: 1 }, "/s");
  });

  test.each([
    [{ memoryBytes: 2 ** 30 }, "has memory of 256 MiB, and vm `b` is declared with 1024 MiB"],
    [{ cpus: 4 }, "has CPUs: 1, and vm `b` is declared with 4"],
    [{ accel: "kvm" as const }, "has acceleration tcg, and vm `b` runs with kvm"],
    [{ transport: "vsock" as const }, "has transport serial, and vm `b` uses vsock"],
  ])("differs in %j: the error names both", (over, words) => {
    expect(() => checkManifest(MANIFEST, { ...same, ...over }, "/s")).toThrow(words);
  });
});
