import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasFlagsFault } from "../../../src/vmm/flags-fault.ts";
import { FLAGS_PROBE } from "../../../src/vmm/probe-rom.ts";
import { GREET } from "./telling.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-flags-"));
afterAll(() => rmSync(directory, { recursive: true }));
const path = join(directory, "qemu");
const host = { cacheDir: join(directory, "cache"), env: { PATH: "/usr/bin:/bin", PROVIUM_QEMU: path } };

/** A QEMU of a few lines that runs the probe to `status`. */
const qemu = (status: number): void => {
  writeFileSync(
    path,
    `#!/bin/sh
echo start >> ${path}.log
${GREET}
read -r line <&3; echo '{"return": {}, "id": 1}' >&3
read -r line <&3
exit ${status}
`,
  );
  chmodSync(path, 0o755);
};
const starts = (): number => readFileSync(`${path}.log`, "utf8").split("\n").length - 1;

test("each QEMU is looked at once, and a QEMU that was replaced again", () => {
  qemu(FLAGS_PROBE.proof);
  expect([hasFlagsFault(host), hasFlagsFault(host)]).toEqual([false, false]);
  expect(starts()).toBe(1);
  qemu(FLAGS_PROBE.proof + 2);
  utimesSync(path, 1, 1);
  expect([hasFlagsFault(host), hasFlagsFault(host)]).toEqual([true, true]);
  expect(starts()).toBe(2);
});

test("an answer that is not all there is none, and is replaced for who reads it meanwhile", () => {
  const cacheDir = join(directory, "halved");
  qemu(FLAGS_PROBE.proof + 2);
  hasFlagsFault({ ...host, cacheDir });
  const kept = join(cacheDir, readdirSync(cacheDir).join());
  // As another run leaves it between opening the file and writing to it.
  truncateSync(kept);
  linkSync(kept, join(directory, "reader"));
  const before = starts();
  for (let i = 0; i < 2; i++) expect(hasFlagsFault({ ...host, cacheDir })).toBe(true);
  expect(starts()).toBe(before + 1);
  expect([readFileSync(kept, "utf8"), readFileSync(join(directory, "reader"), "utf8")]).toEqual([
    "fault",
    "",
  ]);
});

test("the probe comes to an end on an emulated CPU, with one answer or the other", () => {
  const program = Bun.which("qemu-system-x86_64");
  if (program === null) return;
  const rom = join(directory, "rom");
  writeFileSync(rom, FLAGS_PROBE.image());
  const { exitCode } = Bun.spawnSync([
    ...[program, "-nodefaults", "-no-user-config", "-display", "none", ...FLAGS_PROBE.machine],
    ...["-accel", "tcg", "-cpu", "max", "-m", "16M", "-bios", rom],
  ]);
  expect([FLAGS_PROBE.proof, FLAGS_PROBE.proof + 2]).toContain(exitCode);
});
