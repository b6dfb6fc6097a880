/** Snapshots that come from another host: what does not fit is told before anything runs. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MANIFEST, type Manifest, readManifest, writeManifest } from "../../src/lab/manifest.ts";
import { Project } from "./run.ts";

const SAVE = `test("saves", function(t)
  local vm = provium:vm("a", "default", { memory = "128M" }):boot()
  t:assert_eq(vm:snapshot("saved"):path():match("[^/]+$"), "saved")
end)
`;
const RESTORE = `test("restores", function() provium:vm("b", "default"):restore("saved") end)\n`;

const FOREIGN: readonly (readonly [why: string, (manifest: Manifest) => Manifest, told: RegExp])[] = [
  [
    "another QEMU",
    (manifest) => ({ ...manifest, image: { ...manifest.image, qemu: "0.1.2" } }),
    /was taken with QEMU 0\.1\.2, and this is QEMU \d+\.\d+\.\d+/,
  ],
  [
    "another protocol of the agent",
    (manifest) => ({ ...manifest, guest: { ...manifest.guest, protocol: 99 } }),
    /the agent in the snapshot speaks protocol 99 and this provium speaks protocol \d+/,
  ],
  [
    "another channel",
    ({ launch, ...rest }) => ({
      ...rest,
      launch: { ...launch, transport: launch.transport === "vsock" ? "serial" : "vsock" },
    }),
    /has transport (vsock|serial), and vm `b` uses (serial|vsock)/,
  ],
  [
    "another acceleration",
    ({ launch, ...rest }) => ({
      ...rest,
      launch: { ...launch, accel: launch.accel === "kvm" ? "tcg" : "kvm" },
    }),
    /has acceleration (kvm|tcg), and vm `b` runs with (tcg|kvm)/,
  ],
];

test("a snapshot of another host's machinery is refused, each time with both values", async () => {
  using at = new Project({ "save.test.lua": SAVE, "restore.test.lua": RESTORE });
  const saved = await at.run(["save.test.lua"]);
  expect([saved.text, saved.code]).toEqual([saved.text, 0]);
  const path = join(at.directory, "saved", MANIFEST);
  const manifest = readManifest(readFileSync(path, "utf8"), path);
  for (const [why, change, told] of FOREIGN) {
    at.write(join("saved", MANIFEST), writeManifest(change(manifest)));
    const result = await at.run(["restore.test.lua"]);
    expect([why, result.code]).toEqual([why, 1]);
    expect(result.text).toMatch(told);
    expect(at.processes()).toEqual([]);
  }
  at.write(join("saved", MANIFEST), writeManifest(manifest));
  const result = await at.run(["restore.test.lua"]);
  expect([result.text, result.code]).toEqual([result.text, 0]);
}, 600_000);
