/** What a snapshot says about itself is believed only where it makes sense; a checksum alone proves nothing. */

import { expect, test } from "bun:test";
import { HostError } from "../../../src/errors/errors.ts";
import { type Manifest, readManifest, writeManifest } from "../../../src/lab/manifest.ts";

const manifest = (changes: Readonly<Record<string, unknown>> = {}): Manifest =>
  ({
    vm: "g",
    profile: "default",
    launch: {
      memoryBytes: 2 ** 28,
      cpus: 1,
      cmdline: "quiet",
      qemuArgs: [],
      accel: "tcg",
      transport: "serial",
      rngSeed: 2n ** 63n,
    },
    image: { qemu: "7.2", files: [{ name: "ram", bytes: 1, checksum: "0" }], entropyRead: 0 },
    guest: { protocol: 1 },
    session: { token: 1 },
    nics: [],
    disks: [],
    ...changes,
  }) as unknown as Manifest;

test("what was written is read, wide integers exact", () => {
  expect(readManifest(writeManifest(manifest()), "m")).toEqual(manifest());
});

const disk = (content: object) => ({
  ...{ id: "d", readonly: true, slot: 1, sizeBytes: 512, fromBoot: false, faults: [], content },
});

test("disks and interfaces are read as they were written", () => {
  const saved = manifest({
    disks: [disk({ name: "disk-d%2Fe(1)!", bytes: 1, checksum: "0" }), disk({ image: "/d", format: "raw" })],
    nics: [{ bridge: "lan", subnet: "10.1.2.0/24", mac: "m", host: 5, slot: 1, connected: true }],
  });
  expect(readManifest(writeManifest(saved), "m")).toEqual(saved);
});

const wrong: [string, Readonly<Record<string, unknown>>][] = [
  [
    "a file outside the snapshot",
    { image: { qemu: "7.2", files: [{ name: "../../etc/passwd" }], entropyRead: 0 } },
  ],
  ["a file that is the directory above", { image: { qemu: "7.2", files: [{ name: ".." }], entropyRead: 0 } }],
  ["no launch", { launch: undefined }],
  ["a negative size", { launch: { ...manifest().launch, memoryBytes: -1 } }],
  ["arguments that are no words", { launch: { ...manifest().launch, qemuArgs: [5] } }],
  ["a disk that is none", { disks: [null] }],
  [
    "the content of a disk outside the snapshot",
    { disks: [disk({ name: "../d", bytes: 1, checksum: "0" })] },
  ],
  ["the image of a disk in no known format", { disks: [disk({ image: "/d", format: "vmdk" })] }],
  ["an interface without a bridge", { nics: [{ mac: "52:54:00:00:00:01", slot: 1, connected: true }] }],
  ["an integer that is none", { cid: { $integer: "many" } }],
];
test.each(wrong)("%s is refused although the checksum fits", (_, changes) => {
  expect(() => readManifest(writeManifest(manifest(changes)), "m")).toThrow(HostError);
});

test("text that was cut off or altered is refused by its checksum", () => {
  const text = writeManifest(manifest());
  expect(() => readManifest(text.slice(0, -9), "m")).toThrow(/cut off or altered/);
  expect(() => readManifest(text.replace('"cpus": 1', '"cpus": 9'), "m")).toThrow(/cut off or altered/);
  expect(() => readManifest("{}", "m")).toThrow(/no manifest/);
});
