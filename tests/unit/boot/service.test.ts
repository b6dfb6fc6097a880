import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { buildArchive, readArchive } from "../../../src/boot/archive.ts";
import { install, prune } from "../../../src/boot/cache.ts";
import { type EmbeddedGuest, installDefaultGuest } from "../../../src/boot/default-guest.ts";
import { type BootMachine, type BootProfile, BootService, handoff } from "../../../src/boot/service.ts";
import { ConfigError } from "../../../src/errors/errors.ts";
import { bzImage, vmlinux } from "./images.ts";

const SERIAL: BootMachine = { transport: "serial", accel: "kvm", disks: false };

let root = "";
let service: BootService;
let flagsFault = false;
const at = (name: string): string => join(root, name);
const write = (name: string, data: Uint8Array | string): string => {
  mkdirSync(join(at(name), ".."), { recursive: true });
  writeFileSync(at(name), data);
  return at(name);
};

const profile = (over: Partial<BootProfile> = {}): BootProfile => ({
  name: "p",
  origin: "lab",
  architecture: "x86_64",
  kernel: at("boot/vmlinuz"),
  cmdline: "quiet",
  modules: "auto",
  injectAgent: true,
  mountPseudoFs: true,
  ...over,
});
const names = (path: string): string[] => readArchive(readFileSync(path)).entries.map((entry) => entry.name);

beforeEach(() => {
  flagsFault = false;
  root = mkdtempSync(join(tmpdir(), "provium-boot-"));
  write("agent", "agent");
  write("wrapper", "wrapper");
  write("boot/vmlinuz", bzImage(gzipSync(vmlinux(true))));
  service = new BootService({
    cacheDir: at("cache"),
    programs: () => ({ agent: readFileSync(at("agent")), wrapper: readFileSync(at("wrapper")) }),
    helper: at("helper"),
    flagsFault: ({ origin }) => flagsFault && origin !== "embedded",
    virtiofsd: () => false,
  });
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

describe("a boot plan", () => {
  test("boots the vmlinux inside the bzImage, with the shim as initramfs when there is no other", async () => {
    const plan = await service.plan(profile(), SERIAL);
    expect(Buffer.from(vmlinux(true)).equals(readFileSync(plan.kernel))).toBe(true);
    expect(names(plan.initrd)).toEqual(["sbin", "sbin/provium-agent", "sbin/provium-wrapper"]);
    expect(plan.cmdline).toBe("rdinit=/sbin/provium-wrapper");
  });

  test("boots the bzImage as it is when its vmlinux has no PVH entry", async () => {
    write("boot/vmlinuz", bzImage(gzipSync(vmlinux(false))));
    expect((await service.plan(profile(), SERIAL)).kernel).toBe(at("boot/vmlinuz"));
  });

  test("lays the shim behind the user's initramfs and keeps the user's directories", async () => {
    const initrd = write("initrd", buildArchive([{ type: "directory", name: "sbin", mode: 0o700 }]));
    const plan = await service.plan(profile({ initrd }), SERIAL);
    const data = readFileSync(plan.initrd);
    const first = readArchive(data);
    expect(first.entries.map((entry) => entry.name)).toEqual(["sbin"]);
    const ours = data.subarray(data.indexOf("070701", first.end));
    expect(readArchive(ours).entries.map((entry) => entry.name)).toEqual([
      "sbin/provium-agent",
      "sbin/provium-wrapper",
    ]);
  });

  test("gives the same file for the same boot and another one for other contents", async () => {
    const boot = (content: string) =>
      service.plan(profile(), SERIAL, [{ path: "/etc/a", content: Buffer.from(content) }]);
    const one = await boot("1");
    const before = statSync(one.initrd).ino;
    expect((await boot("1")).initrd).toBe(one.initrd);
    expect(statSync(one.initrd).ino).toBe(before);
    expect((await boot("2")).initrd).not.toBe(one.initrd);
  });

  test("notices a kernel that was replaced under its name", async () => {
    const before = (await service.plan(profile(), SERIAL)).kernel;
    write("boot/vmlinuz", bzImage(gzipSync(vmlinux(true, "Linux version 6.2.0-test other"))));
    expect((await service.plan(profile(), SERIAL)).kernel).not.toBe(before);
  });

  test("takes mode and contents of an injected host file", async () => {
    const host = write("tool", "#!/bin/sh\n");
    const plan = await service.plan(profile(), SERIAL, [{ path: "/opt/tool", host, mode: 0o4755 }]);
    const entry = readArchive(readFileSync(plan.initrd)).entries.find((one) => one.name === "opt/tool");
    expect(entry?.mode).toBe(0o4755);
    expect(Buffer.from(entry!.data).toString()).toBe("#!/bin/sh\n");
  });

  test("hands the user's initramfs on untouched when nothing is injected", async () => {
    const initrd = write("initrd", buildArchive([]));
    const plan = await service.plan(profile({ initrd, injectAgent: false }), SERIAL);
    expect(plan).toMatchObject({ initrd, cmdline: "" });
  });

  test("ships the modules of the kernel's own tree, unpacked and in loading order", async () => {
    const tree = "lib/modules/6.1.0-test";
    write(`${tree}/modules.dep`, "kernel/virtio.ko.gz:\nkernel/virtio_pci.ko: kernel/virtio.ko.gz\n");
    write(`${tree}/kernel/virtio.ko.gz`, gzipSync(Buffer.from("ring")));
    write(`${tree}/kernel/virtio_pci.ko`, "pci");
    const plan = await service.plan(profile(), SERIAL);
    const entries = readArchive(readFileSync(plan.initrd)).entries;
    const content = (name: string): string =>
      Buffer.from(entries.find((entry) => entry.name === name)?.data ?? []).toString();
    expect(content("provium/modules/order")).toBe("virtio.ko\nvirtio_pci.ko\n");
    expect(content("provium/modules/virtio.ko")).toBe("ring");
    const without = await service.plan(profile({ modules: "none" }), SERIAL);
    expect(names(without.initrd)).not.toContain("provium/modules/order");
  });
});

describe("the clock of an emulated guest", () => {
  const emulated: BootMachine = { transport: "serial", accel: "tcg", disks: false };
  const helper = (text: string): void => {
    write("helper", `#!/bin/sh\n${text}\n`);
    chmodSync(at("helper"), 0o755);
  };

  test("runs at the rate that the helper has measured", async () => {
    helper("echo 2596120");
    expect((await service.plan(profile(), emulated)).cmdline).toContain("tsc_early_khz=2596120 tsc=reliable");
  });

  test("is left to the kernel with acceleration, or when the profile has a word about it", async () => {
    helper("echo 2596120");
    expect((await service.plan(profile(), SERIAL)).cmdline).not.toContain("tsc");
    expect((await service.plan(profile({ cmdline: "quiet tsc=unstable" }), emulated)).cmdline).not.toContain(
      "tsc",
    );
  });

  test("keeps a kernel off CMPXCHG16B where the emulator gets it wrong, and only there", async () => {
    const emulated: BootMachine = { ...SERIAL, accel: "tcg" };
    const words = async (over: Partial<BootProfile>, machine: BootMachine): Promise<string> =>
      (await service.plan(profile(over), machine)).cmdline;
    write("helper", "#!/bin/sh\nexit 1\n");
    expect(await words({}, emulated)).not.toContain("clearcpuid");
    flagsFault = true;
    expect(await words({}, emulated)).toContain("clearcpuid=141");
    expect(await words({}, SERIAL)).not.toContain("clearcpuid");
    expect(await words({ origin: "embedded" }, emulated)).not.toContain("clearcpuid");
    expect(await words({ cmdline: "clearcpuid=smap" }, emulated)).not.toContain("clearcpuid");
  });

  test.each(["exit 1", "echo 17", "echo fast"])(
    "is left to the kernel when the helper says %p",
    async (text) => {
      helper(text);
      expect((await service.plan(profile(), emulated)).cmdline).toBe("rdinit=/sbin/provium-wrapper");
    },
  );
});

describe("a boot plan refuses", () => {
  const refuses = async (over: Partial<BootProfile>, why: string): Promise<void> =>
    expect(service.plan(profile(over), SERIAL)).rejects.toThrow(why);

  test("a missing kernel, naming it", () =>
    refuses({ kernel: "/nosuch/vmlinuz" }, "kernel `/nosuch/vmlinuz` does not exist"));
  test("a kernel that is a directory", () => refuses({ kernel: root }, "is a directory"));
  test("a kernel that is none", () =>
    refuses({ kernel: write("text", "hello".repeat(200)) }, "is not a Linux kernel"));
  test("a missing initrd, naming it", () =>
    refuses({ initrd: "/nosuch/initrd" }, "initrd `/nosuch/initrd` does not exist"));
  test("a command line that was not there", () =>
    refuses({ cmdlineFile: "/nosuch/cmdline" }, "its cmdline_file /nosuch/cmdline was not there"));
  test("an initrd that is none", () =>
    refuses({ initrd: write("initrd", "hello") }, "is not an initramfs: it begins with 68656c6c6f"));
  test("a module directory without modules.dep", () => refuses({ modules: root }, "has no modules.dep"));
  test("a module directory that does not exist", () =>
    refuses({ modules: "/nosuch" }, "the directory `/nosuch` does not exist"));
  test("the embedded profile in an executable without a guest", () =>
    refuses({ kernel: undefined, origin: "embedded" }, "has no kernel"));

  test("a missing host file, naming guest and host path", () =>
    expect(service.plan(profile(), SERIAL, [{ path: "/etc/a", host: "/nosuch/a" }])).rejects.toThrow(
      "host file for `/etc/a`, `/nosuch/a` does not exist",
    ));

  test("after a failure the next try looks again", async () => {
    await refuses({ kernel: at("late") }, "does not exist");
    write("late", bzImage(gzipSync(vmlinux(true))));
    expect((await service.plan(profile({ kernel: at("late") }), SERIAL)).kernel).toContain("cache");
  });
});

describe("an overlay", () => {
  const overlay = () =>
    write(
      "overlay.cpio",
      buildArchive([{ type: "file", name: "sbin/provium-agent", mode: 0o755, data: Buffer.from("theirs") }]),
    );

  test("comes behind the files of ours, so that its own win", async () => {
    const plan = await service.plan(profile({ agentOverlayPath: overlay() }), SERIAL);
    const initrd = readFileSync(plan.initrd as string);
    expect(initrd.indexOf("theirs")).toBeGreaterThan(initrd.indexOf("sbin/provium-wrapper"));
  });

  test("does not come where the agent does not", async () => {
    const initrd = write("initrd.cpio", buildArchive([]));
    const files = [{ path: "/etc/x", content: new Uint8Array() }];
    const bare = profile({ initrd, agentOverlayPath: overlay(), injectAgent: false });
    const plan = await service.plan(bare, SERIAL, files);
    expect(readFileSync(plan.initrd as string).includes("theirs")).toBe(false);
  });

  test("that is not there is named", async () => {
    const gone = service.plan(profile({ agentOverlayPath: at("gone") }), SERIAL);
    expect(gone).rejects.toThrow(`agent_overlay_path \`${at("gone")}\` does not exist`);
  });
});

describe("the hand-off to the guest's init", () => {
  test("names the profile's init and what is not to be mounted", () => {
    expect(handoff(profile({ init: "/linuxrc", mountPseudoFs: false }))).toBe(
      "rdinit=/sbin/provium-wrapper provium.init=/linuxrc provium.mount=0",
    );
  });
  test("takes over a classic profile's rdinit and refuses a lab profile's", () => {
    const cmdline = "quiet rdinit=/my/init";
    expect(handoff(profile({ origin: "classic", cmdline }))).toContain("provium.init=/my/init");
    expect(() => handoff(profile({ cmdline }))).toThrow(ConfigError);
    expect(() => handoff(profile({ origin: "embedded", cmdline }))).toThrow("rdinit=/my/init");
  });
  test("leaves a provium.init of the command line alone", () => {
    expect(handoff(profile({ init: "/a", cmdline: "provium.init=/b" }))).toBe("rdinit=/sbin/provium-wrapper");
  });
});

describe("the cache", () => {
  test("drops what was unused for longest, and keeps the newest", () => {
    mkdirSync(at("kept"));
    for (const [name, age] of [
      ["old", 300],
      ["middle", 200],
      ["new", 100],
    ] as const) {
      write(`kept/${name}`, "12345");
      const then = new Date(Date.now() - age * 1000);
      utimesSync(at(`kept/${name}`), then, then);
    }
    prune(at("kept"), 2, 1000);
    expect(readdirSync(at("kept")).sort()).toEqual(["middle", "new"]);
    prune(at("kept"), 10, 5);
    expect(readdirSync(at("kept"))).toEqual(["new"]);
  });

  test("keeps what was handed out just now, which a machine has yet to open", () => {
    for (const name of ["one", "another"]) write(`kept/${name}`, "12345");
    prune(at("kept"), 1, 4);
    expect(readdirSync(at("kept")).sort()).toEqual(["another", "one"]);
  });

  test("a place where nothing can be written is an error that says what to look at", () => {
    expect(() => install(at("agent/deep/file"), "")).toThrow(`cannot write ${at("agent/deep/file")}`);
  });
});

describe("the embedded guest", () => {
  const guest = (manifest = "release 6.1.0-test\n"): EmbeddedGuest => ({
    vmlinux: zstdCompressSync(vmlinux(true)),
    initrd: zstdCompressSync(buildArchive([])),
    modules: zstdCompressSync(
      buildArchive([
        {
          type: "file",
          name: "lib/modules/6.1.0-test/modules.dep",
          mode: 0o644,
          data: Buffer.from("kernel/virtio.ko:\n"),
        },
      ]),
    ),
    manifest,
  });

  test("is unpacked once, and found complete the next time", () => {
    const installed = installDefaultGuest(guest(), at("cache"));
    expect(Buffer.from(vmlinux(true)).equals(readFileSync(installed.kernel))).toBe(true);
    expect(existsSync(join(installed.modules, "modules.dep"))).toBe(true);
    const before = statSync(installed.kernel).ino;
    expect(installDefaultGuest(guest(), at("cache"))).toEqual(installed);
    expect(statSync(installed.kernel).ino).toBe(before);
  });

  test("of another build gets a folder of its own", () => {
    const one = installDefaultGuest(guest(), at("cache"));
    const other = installDefaultGuest(guest("release 6.1.0-test\nfile x\n"), at("cache"));
    expect(other.kernel).not.toBe(one.kernel);
  });

  test("that is damaged is told, and not taken for complete", () => {
    const damaged = { ...guest(), initrd: Buffer.from("hello") };
    expect(() => installDefaultGuest(damaged, at("cache"))).toThrow(
      "the embedded guest is damaged: initramfs",
    );
    expect(() => installDefaultGuest(damaged, at("cache"))).toThrow("damaged");
    expect(() => installDefaultGuest(guest("nothing"), at("cache"))).toThrow("names no kernel release");
  });
});
