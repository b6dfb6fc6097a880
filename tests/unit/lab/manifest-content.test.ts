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

const wrong: [string, Readonly<Record<string, unknown>>][] = [
  [
    "a file outside the snapshot",
    { image: { qemu: "7.2", files: [{ name: "../../etc/passwd" }], entropyRead: 0 } },
  ],
  ["a file that is the directory above", { image: { qemu: "7.2", files: [{ name: ".." }], entropyRead: 0 } }],
  ["no launch", { launch: undefined }],
  ["a negative size", { launch: { ...manifest().launch, memoryBytes: -1 } }],
  ["arguments that are no words", { launch: { ...manifest().launch, qemuArgs: [5] } }],
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
