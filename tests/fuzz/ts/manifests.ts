/** Manifests of snapshots of any kind, with a checksum that fits: a manifest, or a `HostError`. */

import { ApiError, HostError } from "../../../src/errors/errors.ts";
import { checkManifest, readManifest, writeManifest } from "../../../src/lab/manifest.ts";
import { must, type Target } from "../target.ts";

const BODY = {
  vm: "g",
  profile: "default",
  launch: {
    memoryBytes: 2 ** 28,
    cpus: 1,
    cmdline: "quiet",
    kernel: "/k",
    qemuArgs: [],
    accel: "tcg",
    transport: "serial",
    rngSeed: { $integer: "18446744073709551615" },
  },
  image: { qemu: "7.2", files: [{ name: "ram", bytes: 4096, checksum: "00" }], entropyRead: 0 },
  guest: {
    protocol: 1,
    agentVersion: "0",
    kernelRelease: "6.1",
    arch: "x86_64",
    features: [],
    boottimeNs: 5,
  },
  session: { token: 1, lastRequest: 2, lastProcess: 3, lastWorker: 4 },
  nics: [
    { bridge: "lan", subnet: "10.1.2.0/24", mac: "52:54:00:00:00:01", host: 5, slot: 1, connected: true },
  ],
  disks: [
    {
      ...{ id: "d", readonly: false, slot: 1, sizeBytes: 512, fromBoot: false, faults: [] },
      content: { name: "disk-d", bytes: 512, checksum: "00" },
    },
  ],
};

const signed = (body: string): string => {
  const checksum = Bun.hash.xxHash3(body).toString(16).padStart(16, "0");
  return `{"provium_snapshot": 1, "checksum": "${checksum}", "content":\n${body}\n}\n`;
};

export const manifests: Target = {
  name: "manifests",
  source: import.meta.file,
  seeds: [
    JSON.stringify(BODY),
    JSON.stringify({ ...BODY, image: { ...BODY.image, files: [{ name: "../../etc/passwd" }] } }),
    `{"launch":{"$integer":"x"}}`,
    "null",
  ],
  words: [
    ...[
      '"$integer"',
      '"launch"',
      '"image"',
      '"files"',
      '"name"',
      '"qemuArgs"',
      '"__proto__"',
      "null",
      "[]",
      "{}",
    ],
    ...["../", "1e999", "-1", '"memoryBytes"', '"cpus"', "\\u0000", ",", ":", '"'],
  ],
  run: (input) => {
    const text = new TextDecoder().decode(input);
    for (const whole of [text, signed(text)])
      try {
        const manifest = readManifest(whole, "snapshot/manifest.json");
        for (const { name } of manifest.image.files)
          must(!name.includes("/"), "no file lies outside its snapshot");
        for (const { content } of manifest.disks)
          must("image" in content || !content.name.includes("/"), "no disk lies outside its snapshot");
        for (const { bridge } of manifest.nics)
          must(typeof bridge === "string", "an interface names its bridge");
        must(readManifest(writeManifest(manifest), "again").vm === manifest.vm, "what is written is read");
        checkManifest(manifest, { vm: "g", accel: "tcg", transport: "serial", cpus: 1 }, "snapshot");
      } catch (error) {
        if (!(error instanceof HostError || error instanceof ApiError)) throw error;
      }
  },
};
