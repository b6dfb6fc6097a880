/**
 * The floor of a boot: bare QEMU with the default guest's kernel and a minimal initramfs, from exec to the first
 * line of user space, with the best flags that we know. A variation changes one of them.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ArchiveEntry, buildArchive } from "../../../src/boot/archive.ts";
import {
  DEFAULT_GUEST_CMDLINE,
  type InstalledGuest,
  installDefaultGuest,
} from "../../../src/boot/default-guest.ts";
import { readModules } from "../../../src/boot/module-tree.ts";
import { measureTsc, tscWords } from "../../../src/boot/tsc.ts";

export interface Floor {
  readonly cpu: string;
  readonly machine: string;
  readonly kernel: string;
  readonly cmdline: string;
  readonly initrd: string;
  readonly memory: string;
  readonly extra: readonly string[];
}

const GUEST = "build/guest";
const HELPER = "build/agent/provium-helper";
const FIRST_LINE = "first line of user space";
const TIMEOUT_MS = 120_000;

export const accel = process.env.ACCEL ?? "tcg";

/** What the kernel of the default guest has as modules and the serial channel needs. It verifies each one's signature. */
const CHANNEL_MODULES = ["virtio_pci", "virtio_console"];

/** Prepares kernel and initramfs (`equipped`: also with the modules of the channel, loaded before the line) in `directory`; needs `make build` before. */
export const prepareFloor = async (
  directory: string,
): Promise<{ readonly best: Floor; readonly equipped: Floor; readonly guest: InstalledGuest }> => {
  mkdirSync(directory, { recursive: true });
  const init = join(directory, "init");
  const compiled = Bun.spawnSync([
    "musl-gcc",
    "-O2",
    "-static",
    "-s",
    "-o",
    init,
    join(import.meta.dir, "floor.c"),
  ]);
  if (!compiled.success) throw new Error(`musl-gcc: ${compiled.stderr}`);
  const part = (name: string): Uint8Array => readFileSync(join(GUEST, name));
  const guest = installDefaultGuest(
    {
      vmlinux: part("vmlinux.zst"),
      initrd: part("initrd.cpio.zst"),
      modules: part("modules.cpio.zst"),
      manifest: readFileSync(join(GUEST, "manifest"), "utf8"),
    },
    directory,
  );
  const initrd = join(directory, "floor.cpio");
  const program: ArchiveEntry = { type: "file", name: "init", mode: 0o755, data: readFileSync(init) };
  writeFileSync(initrd, buildArchive([program]));
  const modules = await readModules(guest.modules, CHANNEL_MODULES);
  const files = modules.map(
    ({ data }, n): ArchiveEntry => ({ type: "file", name: String(n), mode: 0o644, data }),
  );
  const equippedInitrd = join(directory, "equipped.cpio");
  writeFileSync(equippedInitrd, buildArchive([program, ...files]));
  const words = accel === "kvm" ? "" : ` nolapic_timer ${tscWords(await measureTsc(HELPER), "")}`;
  const best: Floor = {
    cpu: accel === "kvm" ? "host" : "max,erms=off,fsrm=off",
    machine: "q35,i8042=off,hpet=off,sata=off,smbus=off,vmport=off,usb=off,smm=off",
    kernel: guest.kernel,
    cmdline: `${DEFAULT_GUEST_CMDLINE}${words} console=ttyS0`,
    initrd,
    memory: "512M",
    extra: [],
  };
  return { best, equipped: { ...best, initrd: equippedInitrd }, guest };
};

/** Seconds of one boot. Throws with the end of the console when the line does not come. */
export const bootFloor = async (floor: Floor): Promise<number> => {
  const started = performance.now();
  const qemu = Bun.spawn(
    [
      ...["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      ...["-machine", floor.machine, "-accel", accel, "-cpu", floor.cpu, "-m", floor.memory],
      ...["-kernel", floor.kernel, "-initrd", floor.initrd, "-append", floor.cmdline],
      ...["-serial", "stdio", ...floor.extra],
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  const bound = setTimeout(() => qemu.kill("SIGKILL"), TIMEOUT_MS);
  let seen = "";
  try {
    for await (const chunk of qemu.stdout) {
      seen += Buffer.from(chunk).toString("latin1");
      if (seen.includes(FIRST_LINE)) return (performance.now() - started) / 1000;
    }
    throw new Error(`no user space: ${seen.slice(-500)} ${await new Response(qemu.stderr).text()}`);
  } finally {
    clearTimeout(bound);
    qemu.kill("SIGKILL");
    await qemu.exited;
  }
};
