import { expect, test } from "bun:test";
import type { LaunchSpec } from "../../../src/lab/ports.ts";
import { type Descriptors, qemuArguments } from "../../../src/vmm/arguments.ts";
import { EVERYTHING } from "../../../src/vmm/capabilities.ts";

const spec: LaunchSpec = {
  name: "web",
  architecture: "x86_64",
  memoryBytes: 512 * 1024 * 1024,
  cpus: 2,
  kernel: "/k/vmlinux",
  initrd: "/k/initrd",
  cmdline: "quiet console=hvc0 console=ttyS0",
  disks: [],
  hardwareRng: true,
  qemuArgs: [],
  accel: "tcg",
  transport: "serial",
  directory: "/run/web",
};
const descriptors: Descriptors = { monitor: 3, serial: 4, hypervisor: "/run/vm/hvc0", agent: 6 };

/** What follows each `flag`. */
const after = (flag: string, args: readonly string[]): string[] =>
  args.flatMap((word, i) => (word === flag ? [args[i + 1] as string] : []));
const change = (part: Partial<LaunchSpec>, fds: Descriptors = descriptors): string[] =>
  qemuArguments({ ...spec, ...part }, fds, EVERYTHING);

test("a machine on the serial channel is exactly this command line", () => {
  expect(qemuArguments(spec, descriptors, EVERYTHING)).toEqual([
    ...["-name", "guest=web", "-nodefaults", "-no-user-config", "-display", "none"],
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    "-machine",
    "q35,i8042=off,hpet=off,sata=off,smbus=off,vmport=off,usb=off,smm=off,memory-backend=ram",
    ...["-accel", "tcg", "-cpu", "max,erms=off,fsrm=off", "-smp", "2"],
    ...["-m", "512M", "-object", "memory-backend-ram,id=ram,size=512M"],
    ...[
      "-rtc",
      "base=utc",
      "-uuid",
      "d3acfa03-3b3d-8ae1-8915-3ee82d60ccba",
      "-action",
      "reboot=shutdown,shutdown=poweroff,panic=pause",
    ],
    ...["-chardev", "socket,id=monitor,fd=3", "-qmp", "chardev:monitor"],
    ...["-chardev", "socket,id=serial0,fd=4", "-device", "isa-serial,chardev=serial0"],
    ...[
      "-device",
      "virtio-serial-pci,id=serial,bus=pcie.0,addr=0x2,disable-legacy=on,max_ports=2,ioeventfd=off",
    ],
    ...[
      "-chardev",
      "pipe,id=hvc0,path=/run/vm/hvc0",
      "-device",
      "virtconsole,bus=serial.0,nr=0,chardev=hvc0",
    ],
    ...["-chardev", "socket,id=agent,fd=6", "-device"],
    "virtserialport,bus=serial.0,nr=1,chardev=agent,id=agent,name=org.provium.agent",
    ...["-object", "rng-builtin,id=entropy", "-device"],
    "virtio-rng-pci,bus=pcie.0,addr=0x3,disable-legacy=on,rng=entropy",
    ...["-device", "pvpanic"],
    ...["-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=on"],
    ...["-device", "pcie-pci-bridge,id=plug,bus=pcie.0,addr=0x5"],
    ...["-kernel", "/k/vmlinux", "-append", "quiet console=hvc0 console=ttyS0", "-initrd", "/k/initrd"],
  ]);
});

test("a deterministic machine counts instructions, has no source of chance, and files for consoles", () => {
  const files = { serial0: "/run/web/serial0", hvc0: "/run/web/hvc0", mailbox: "/run/web/mail,box" };
  const args = qemuArguments(
    { ...spec, deterministic: true, rngSeed: 2n ** 64n - 1n, initialTime: 1_000_000_000.75 },
    { monitor: 3, mailbox: [4, 5, 6] },
    EVERYTHING,
    undefined,
    files,
  );
  expect(after("-icount", args)).toEqual(["shift=2,sleep=off"]);
  expect(after("-rtc", args)).toEqual(["base=2001-09-09T01:46:40,clock=vm"]);
  expect(after("-seed", args)).toEqual([String(2n ** 63n - 1n)]);
  expect(after("-cpu", args)).toEqual(["max,erms=off,fsrm=off,rdrand=off,rdseed=off"]);
  expect(args.join(" ")).not.toContain("virtio-rng");
  expect(after("-chardev", args)).toEqual([
    ...["socket,id=mailbox0,fd=4", "socket,id=mailbox1,fd=5", "socket,id=mailbox2,fd=6"],
    ...["socket,id=monitor,fd=3", "file,id=serial0,path=/run/web/serial0", "file,id=hvc0,path=/run/web/hvc0"],
  ]);
  expect(args).toContain("memory-backend-file,id=mailbox,share=on,size=1048576,mem-path=/run/web/mail,,box");
  expect(args).toContain("isa-debugcon,iobase=1505,chardev=mailbox1");
});

test("vsock takes the place of the agent's port, with the reserved CID and its descriptor", () => {
  const args = change(
    { transport: "vsock" },
    { monitor: 3, serial: 4, hypervisor: "/run/vm/hvc0", vsock: { fd: 6, cid: 11 } },
  );
  expect(args).toContain("vhost-vsock-pci,bus=pcie.0,addr=0x4,vhostfd=6,guest-cid=11");
  expect(args.join(" ")).not.toContain("virtserialport");
});

test("a build without seccomp is not asked for a sandbox", () => {
  expect(qemuArguments(spec, descriptors, { ...EVERYTHING, sandbox: false })).not.toContain("-sandbox");
});

test("an older QEMU is not told what it does not know, and has a port for each place", () => {
  const old = { ...EVERYTHING, actions: false, acpiPlug: false, unknownOptions: ["i8042"] };
  const args = qemuArguments(spec, descriptors, old);
  expect(args).not.toContain("-action");
  expect(args).not.toContain("-global");
  expect(after("-machine", args)[0]).toStartWith("q35,hpet=off,");
  expect(after("-device", args).filter((text) => text.startsWith("pcie-root-port,"))).toHaveLength(31);
});

test("KVM gets the host's CPU model, and loses its clock where the guest is to have another time", () => {
  expect(after("-cpu", change({ accel: "kvm" }))).toEqual(["host"]);
  expect(after("-cpu", change({ accel: "kvm", initialTime: 0 }))).toEqual(["host,kvmclock=off"]);
});

test("the clock starts at the whole second asked for, in UTC", () => {
  expect(after("-rtc", change({ initialTime: 1_000_000_000.75 }))).toEqual(["base=2001-09-09T01:46:40"]);
});

test("a seed feeds virtio-rng from a descriptor and hides the CPU's own generator", () => {
  const args = change({ rngSeed: 7n }, { ...descriptors, entropy: 7 });
  expect(after("-cpu", args)).toEqual(["max,erms=off,fsrm=off,rdrand=off,rdseed=off"]);
  expect(args).toContain("socket,id=entropy,fd=7");
  expect(args).toContain("rng-egd,id=entropy,chardev=entropy");
  expect(args).not.toContain("rng-builtin,id=entropy");
});

test("a machine whose kernel needs no further generator has none, unless a seed feeds it", () => {
  expect(change({ hardwareRng: false }).join(" ")).not.toContain("virtio-rng");
  const seeded = change({ hardwareRng: false, rngSeed: 7n }, { ...descriptors, entropy: 7 });
  expect(seeded.join(" ")).toContain("virtio-rng-pci");
});

test("disks sit on the bus from which they can be unplugged, and are served over a descriptor", () => {
  const args = change(
    {
      disks: [
        { id: "data", readonly: false, slot: 1, fd: 40 },
        { id: "a-name-that-is-longer-than-20", readonly: true, slot: 2, fd: 41 },
      ],
    },
    { ...descriptors, disks: [11, 12] },
  );
  const nodes = after("-blockdev", args).map((text) => JSON.parse(text));
  expect(
    nodes.map(({ driver, "read-only": readonly, server, file }) => [driver, readonly, server?.str ?? file]),
  ).toEqual([
    ["nbd", false, "11"],
    ["raw", false, nodes[0]["node-name"]],
    ["nbd", true, "12"],
    ["raw", true, nodes[2]["node-name"]],
  ]);
  // QEMU takes no longer node names.
  for (const node of nodes) expect(node["node-name"].length).toBeLessThanOrEqual(31);
  const devices = after("-device", args)
    .filter((text) => text.includes("virtio-blk-pci"))
    .map((text) =>
      Object.fromEntries(text.split(",").map((option) => option.split("=") as [string, string])),
    );
  expect(devices.map(({ id, serial, bus, drive }) => [id, serial, bus, drive])).toEqual([
    ["disk-data", "data", "plug", nodes[1]["node-name"]],
    [
      "disk-a-name-that-is-longer-than-20",
      expect.stringMatching(/^a-name-that-[0-9a-f]{8}$/),
      "plug",
      nodes[3]["node-name"],
    ],
  ]);
});

test("a machine that goes on from a snapshot maps its RAM privately and reads its devices before it runs", () => {
  const args = qemuArguments(spec, { ...descriptors, devices: 7 }, EVERYTHING, "/r/a,b");
  expect(after("-object", args)[0]).toBe("memory-backend-file,id=ram,size=512M,mem-path=/r/a,,b,share=off");
  expect(after("-incoming", args)).toEqual(["fd:7"]);
  expect(after("-global", args)).toContain("migration.send-configuration=off");
  expect(args).toContain("-S");
  expect(after("-machine", args)[0]).toEndWith("memory-backend=ram,suppress-vmdesc=on");
});

test("memory that is no whole number of MiB is rounded up", () => {
  expect(after("-m", change({ memoryBytes: 100 * 1024 * 1024 + 1 }))).toEqual(["101M"]);
});

test("a comma in a name cannot add options", () => {
  expect(after("-name", change({ name: "a,process=b" }))).toEqual(["guest=a,,process=b"]);
});

test("the profile's own arguments come last", () => {
  expect(change({ qemuArgs: ["-cpu", "qemu64"] }).slice(-2)).toEqual(["-cpu", "qemu64"]);
});

test("virtiofsd shares the memory of a machine whose root it serves, and no other's", () => {
  const rootTree = { path: "/", protocol: "virtiofs" } as const;
  expect(after("-object", change({ rootTree }, { ...descriptors, tree: 9 }))).toContain(
    "memory-backend-memfd,id=ram,size=512M,share=on",
  );
  expect(after("-object", change({ rootTree: { path: "/", protocol: "9p" } }))).toContain(
    "memory-backend-ram,id=ram,size=512M",
  );
});

test("an arm64 machine has its own board, CPU, serial port and panic device", () => {
  const args = change({ architecture: "aarch64" });
  expect(after("-machine", args)).toEqual(["virt,gic-version=3,memory-backend=ram"]);
  expect(after("-cpu", args)).toEqual(["max,pauth-impdef=on"]);
  expect(after("-serial", args)).toEqual(["chardev:serial0"]);
  expect(args.filter((word) => word.startsWith("pvpanic") || word.startsWith("isa-"))).toEqual([
    "pvpanic-pci,bus=pcie.0,addr=0x6",
  ]);
});

test("an arm64 machine with a seed has no other source of entropy", () => {
  const args = change({ architecture: "aarch64", rngSeed: 7n }, { ...descriptors, entropy: 7 });
  expect(after("-machine", args)[0]).toContain("dtb-randomness=off");
  expect(after("-cpu", args)).toEqual(["cortex-a72"]);
  expect(after("-cpu", change({ architecture: "aarch64", accel: "kvm" }))).toEqual(["host"]);
});
