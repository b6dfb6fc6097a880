import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ARCHITECTURES, HOST_ARCHITECTURE } from "../../../src/sys/architecture.ts";
import { BOARDS } from "../../../src/vmm/architecture.ts";
import { PROBES } from "../../../src/vmm/probe-rom.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-rom-"));
afterAll(() => rmSync(directory, { recursive: true }));

// That of the host's own architecture is tried in accel.test.ts, and QEMU for others need not be there.
const others = ARCHITECTURES.filter(
  (one) => one !== HOST_ARCHITECTURE && Bun.which(BOARDS[one].program) !== null,
);
for (const architecture of others)
  test(`an emulated ${architecture} CPU proves that it works`, () => {
    const rom = join(directory, architecture);
    const { image, machine, proof } = PROBES[architecture];
    writeFileSync(rom, image());
    const words = machine.map((word) => word.replace("gic-version=host", "gic-version=3"));
    const { exitCode } = Bun.spawnSync([
      ...[BOARDS[architecture].program, "-nodefaults", "-no-user-config", "-display", "none"],
      ...[...words, "-accel", "tcg", "-cpu", "max", "-m", "16M", "-bios", rom],
    ]);
    expect(exitCode).toBe(proof);
  });
