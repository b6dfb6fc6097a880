import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, HostError } from "../../../src/errors/errors.ts";
import type { LaunchSpec, Machine } from "../../../src/lab/ports.ts";
import { after, all, sleep, until } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { AGENT_DEVICE } from "../../../src/vmm/arguments.ts";
import { BRIDGE } from "../../../src/vmm/plug.ts";
import { findQemu } from "../../../src/vmm/program.ts";
import { QemuVmm } from "../../../src/vmm/qemu.ts";
import { GREET, tells } from "./telling.ts";

const LONG = 20_000;
const directory = mkdtempSync(join(tmpdir(), "provium-launch-"));
afterAll(() => rmSync(directory, { recursive: true }));
const kernel = join(directory, "vmlinux");
writeFileSync(kernel, "\x7fELF and more");
const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

/** Lines of a shell script that plays QEMU; descriptor 3 is the monitor, 4 ttyS0. */
const ANSWER = `read -r line <&3; echo '{"return": {}, "id": 1}' >&3`;
let scripts = 0;
const qemu = (...lines: string[]): Record<string, string> => {
  const path = join(directory, `qemu-${scripts++}`);
  writeFileSync(path, `#!/bin/sh\necho "$@" > ${path}.args\n${lines.join("\n")}\n`);
  chmodSync(path, 0o755);
  return { PATH: "/usr/bin:/bin", PROVIUM_QEMU: path };
};
const spec = (over: Partial<LaunchSpec> = {}): LaunchSpec => ({
  name: "a",
  architecture: "x86_64",
  memoryBytes: 1 << 28,
  cpus: 1,
  kernel,
  cmdline: "console=ttyS0",
  disks: [],
  qemuArgs: [],
  accel: "tcg",
  transport: "serial",
  directory: mkdtempSync(join(directory, "vm-")),
  ...over,
});
const launch = (
  env: Record<string, string>,
  over: Partial<LaunchSpec> = {},
): { machine: Machine; reactor: Reactor } => {
  const reactor = new Reactor();
  return { reactor, machine: reactor.run(new QemuVmm({ reactor, env }).launch(spec(over), after(LONG))) };
};
const deathOf = (lines: string[]): string | undefined => {
  const { machine, reactor } = launch(qemu(GREET, ANSWER, ...lines));
  const heard: string[] = [];
  machine.onDeath((reason) => heard.push(reason.message));
  reactor.run(until(() => machine.death !== undefined, after(LONG)));
  machine.close();
  expect(heard).toEqual([machine.death?.message as string]);
  return heard[0];
};

test("QEMU is found through PROVIUM_QEMU, then PATH, and its absence names the package", () => {
  const path = qemu().PROVIUM_QEMU as string;
  expect(findQemu({ PROVIUM_QEMU: path, PATH: "" })).toBe(path);
  expect(() => findQemu({ PATH: directory })).toThrow("qemu-system-x86_64 was not found in PATH");
  expect(() => findQemu({ PROVIUM_QEMU: kernel })).toThrow("which is not a program");
  try {
    findQemu({ PATH: "" });
  } catch (error) {
    expect((error as HostError).hint).toContain("apt install qemu-system-x86");
  }
});

test("a QEMU that dies at once fails the launch with its own words and leaves no descriptor", () => {
  const before = openDescriptors();
  const env = qemu("echo 'qemu: could not open the moon' >&2", "exit 1");
  expect(() => launch(env)).toThrow(HostError);
  expect(() => launch(env)).toThrow("QEMU ended at once with exit status 1: qemu: could not open the moon");
  expect(openDescriptors()).toBe(before);
});

test("a QEMU whose monitor stays silent fails the launch at the deadline", () => {
  const before = openDescriptors();
  const reactor = new Reactor();
  const vmm = new QemuVmm({ reactor, env: qemu("exec sleep 1000") });
  expect(() => reactor.run(vmm.launch(spec(), after(20)))).toThrow(
    "QEMU did not answer its greeting in time",
  );
  expect(openDescriptors()).toBe(before);
});

test("a QEMU that refuses to start is asked what it can do, once, and started as it can be", () => {
  const env = qemu(
    'echo "$@" >> $0.starts',
    tells({ options: ["action"], commands: [], board: ["hpet"], lpc: [] }),
    `case "$*" in *-sandbox*) echo 'qemu: -sandbox on: seccomp support is disabled' >&2; exit 1;; esac`,
    GREET,
    ANSWER,
    "exec sleep 1000",
  );
  const reactor = new Reactor();
  const vmm = new QemuVmm({ reactor, env });
  for (let i = 0; i < 2; i++) reactor.run(vmm.launch(spec(), after(LONG))).close();
  const starts = readFileSync(`${env.PROVIUM_QEMU}.starts`, "utf8").trimEnd().split("\n");
  expect(starts.map((args) => [args.includes("-machine none"), args.includes("-sandbox")])).toEqual([
    [false, true],
    [true, false],
    [false, false],
    [false, false],
  ]);
  expect(starts[2]).toContain("-machine q35,hpet=off,memory-backend=ram");
});

test("a QEMU that tells nothing about itself is taken at its first word", () => {
  const env = qemu('echo "$@" >> $0.starts', "exit 1");
  expect(() => launch(env)).toThrow("QEMU ended at once with exit status 1: it said nothing");
  expect(readFileSync(`${env.PROVIUM_QEMU}.starts`, "utf8").trimEnd().split("\n")).toHaveLength(2);
});

test("a QEMU that was being asked when the launch was interrupted is asked again", () => {
  const env = qemu('case "$*" in *"-machine none"*) echo >> $0.asked; exec sleep 1000;; esac', "exit 1");
  const asked = `${env.PROVIUM_QEMU}.asked`;
  writeFileSync(asked, "");
  const reactor = new Reactor();
  const vmm = new QemuVmm({ reactor, env });
  const enoughAt = function* (times: number) {
    while (readFileSync(asked).length < times) yield* sleep(5);
    throw new Error(`asked ${times}`);
  };
  for (const times of [1, 2])
    expect(() => reactor.run(all<unknown>([vmm.launch(spec(), after(LONG)), enoughAt(times)]))).toThrow(
      `asked ${times}`,
    );
});

test("missing and wrong kernels are told apart before QEMU starts", () => {
  const env = qemu("exit 1");
  expect(() => launch(env, { kernel: "/nonexistent/vmlinux" })).toThrow(ConfigError);
  expect(() => launch(env, { kernel: "/nonexistent/vmlinux" })).toThrow(
    "cannot read the kernel /nonexistent/vmlinux",
  );
  const text = join(directory, "text");
  writeFileSync(text, "#!/bin/sh\n");
  expect(() => launch(env, { kernel: text })).toThrow("is neither a bzImage, an ELF file nor an arm64 Image");
  expect(() => launch(env, { initrd: "/nonexistent/initrd" })).toThrow("cannot read the initrd");
  writeFileSync(text, "");
  expect(() => launch(env, { initrd: text })).toThrow("is empty");
});

test("vsock without its device fails before QEMU starts, and names the other way", () => {
  if (existsSync("/dev/vhost-vsock")) return;
  const before = openDescriptors();
  const env = qemu("exit 1");
  try {
    launch(env, { transport: "vsock" });
    expect.unreachable();
  } catch (error) {
    expect((error as Error).message).toContain("cannot open /dev/vhost-vsock");
    expect((error as HostError).hint).toContain("--transport serial");
  }
  expect(openDescriptors()).toBe(before);
});

test("a QEMU that is killed is a death that names the signal", () => {
  expect(deathOf(["kill -9 $$"])).toBe("QEMU ended unexpectedly with signal 9");
});

test("a crash of QEMU is quoted", () => {
  expect(deathOf(["echo 'Assertion failed' >&2; exit 134"])).toBe(
    "QEMU ended unexpectedly with exit status 134; it said: Assertion failed",
  );
});

test("a panic on the console explains the exit that follows it", () => {
  expect(deathOf(["printf '[  1.0] Kernel panic - not syncing: no init\\r\\n' >&4; exit 0"])).toBe(
    "the guest's kernel panicked: no init",
  );
});

test("a pvpanic event is a panic even when the console is silent", () => {
  expect(
    deathOf([`echo '{"event": "GUEST_PANICKED", "data": {"action": "pause"}}' >&3; exec sleep 1000`]),
  ).toBe("the guest's kernel panicked: its pvpanic device was written");
});

const portEvent = (open: boolean): string =>
  `{"event": "VSERPORT_CHANGE", "data": {"id": "${AGENT_DEVICE}", "open": ${open}}}`;
/** In one write: the host may stand still between two. */
const port = (...opens: boolean[]): string =>
  `printf '%s\\n' ${opens.map((open) => `'${portEvent(open)}'`).join(" ")} >&3`;

test("a guest that reboots or powers off by itself is told from a crash", () => {
  const shutdown = (reason: string): string[] => [
    `echo '{"event": "SHUTDOWN", "data": {"guest": true, "reason": "${reason}"}}' >&3; exit 0`,
  ];
  expect(deathOf(shutdown("guest-reset"))).toBe("the guest restarted before its agent was up");
  expect(deathOf([port(true), ...shutdown("guest-reset")])).toBe("the guest rebooted by itself");
  expect(deathOf(shutdown("guest-shutdown"))).toBe("the guest powered itself off");
});

/** Longer than a PC's agent may be away, so that it has been judged. */
const AWAY_MS = BRIDGE.goingDownMs + 300;
const longerThanAway = `sleep ${AWAY_MS / 1000}`;

test("an agent that closes its port is a death, one that comes back is none", () => {
  expect(deathOf([port(true), port(false), "exec sleep 1000"])).toBe("the agent went away");
  expect(deathOf([port(true), port(false, true), `${longerThanAway}; kill -9 $$`])).toBe(
    "QEMU ended unexpectedly with signal 9",
  );
});

test("connect returns when the agent opens its port and fails with the machine's death", () => {
  const opened = launch(qemu(GREET, ANSWER, port(true), "exec sleep 1000"));
  expect(opened.reactor.run(opened.machine.connect(after(LONG))).transport).toBe("serial");
  opened.machine.close();
  const dead = launch(
    qemu(GREET, ANSWER, "printf 'Kernel panic - not syncing: x\\n' >&4", "exec sleep 1000"),
  );
  expect(() => dead.reactor.run(dead.machine.connect(after(LONG)))).toThrow("the guest's kernel panicked: x");
  dead.machine.close();
  const silent = launch(qemu(GREET, ANSWER, "exec sleep 1000"));
  expect(() => silent.reactor.run(silent.machine.connect(after(20)))).toThrow("no agent opened the port");
  silent.machine.close();
});

test("who listens on the channel hears of a death that the channel cannot see", () => {
  const { machine, reactor } = launch(
    qemu(
      GREET,
      ANSWER,
      port(true),
      'read -r line <&4; echo \'{"event": "GUEST_PANICKED"}\' >&3; exec sleep 1000',
    ),
  );
  const channel = reactor.run(machine.connect(after(LONG)));
  const heard: string[] = [];
  channel.listen({ frame: () => {}, closed: (reason) => heard.push(reason.message) });
  reactor.run(machine.console.write(new TextEncoder().encode("go\n"), after(LONG)));
  reactor.run(until(() => machine.death !== undefined, after(LONG)));
  expect(heard).toEqual(["the guest's kernel panicked: its pvpanic device was written"]);
  machine.close();
});

/**
 * Answers every command. The lines of those that match a pattern of the shell run before; `news` and `answer`, which
 * they may set, come in one piece.
 */
const answering = (...cases: (readonly [pattern: string, lines: string])[]): Record<string, string> =>
  qemu(
    GREET,
    ANSWER,
    "id=1",
    'while read -r line; do echo "$line" >> $0.heard; id=$((id + 1)); news=; answer=\'"return": {}\'',
    `case "$line" in ${cases.map(([pattern, lines]) => `*${pattern}*) ${lines};;`).join(" ")} esac`,
    `printf '%b{%s, "id": %s}\\n' "$news" "$answer" $id >&3; done <&3`,
  );
const news = (...events: string[]): string => `news='${events.map((event) => `${event}\\n`).join("")}'`;
const RESTART = ["system_reset", news('{"event": "RESET", "data": {}}')] as const;

test("late word of the agent before a reset does not end the reset, in which firmware may restart once more", () => {
  const env = answering(["set-action", news(portEvent(true))], RESTART);
  const { machine, reactor } = launch(env);
  reactor.run(machine.reset());
  const heard = readFileSync(`${env.PROVIUM_QEMU}.heard`, "utf8");
  machine.close();
  expect(
    heard
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).arguments?.reboot),
  ).toEqual(["reset", undefined]);
});

test("an agent that went away just before a reset does not end the machine that restarts", () => {
  const { machine, reactor } = launch(answering(["stop", news(portEvent(true), portEvent(false))], RESTART));
  reactor.run(machine.pause());
  reactor.run(machine.reset());
  expect(reactor.run(until(() => machine.death !== undefined, after(AWAY_MS)))).toBe(false);
  machine.close();
});

test("a reset does not save a kernel that panicked just before", () => {
  const panic = "printf 'Kernel panic - not syncing: boom\\r\\n' >&4";
  const { machine, reactor } = launch(answering(["stop", panic], RESTART));
  reactor.run(machine.pause());
  reactor.run(until(() => machine.console.tail(100).includes("boom"), after(LONG)));
  reactor.run(machine.reset());
  reactor.run(until(() => machine.death !== undefined, after(LONG)));
  expect(machine.death?.message).toBe("the guest's kernel panicked: boom");
  machine.close();
});

test("a disk that the guest let go of too late for the first detach is gone for the second", () => {
  const gone = news('{"event": "DEVICE_DELETED", "data": {"device": "disk-d"}}');
  const refusal = `answer='"error": {"class": "DeviceNotFound", "desc": "Device not found"}'`;
  const { machine, reactor } = launch(answering(["stop", gone], ["device_del", refusal]));
  expect(() => reactor.run(machine.unplugDisk("d"))).toThrow("Device not found");
  reactor.run(machine.pause());
  expect(reactor.run(machine.unplugDisk("d"))).toBeUndefined();
  machine.close();
});

test("an exit that is expected is no death", () => {
  const { machine, reactor } = launch(qemu(GREET, ANSWER, "read -r line <&4; exit 0"));
  machine.expectExit();
  expect(reactor.run(machine.waitExit(after(1)))).toBe(false);
  reactor.run(machine.console.write(new TextEncoder().encode("off\n"), after(LONG)));
  expect(reactor.run(machine.waitExit(after(LONG)))).toBe(true);
  expect(machine.death).toBeUndefined();
  machine.close();
});

test("closing ends QEMU, twice is once, and nothing stays open", () => {
  const before = openDescriptors();
  const { machine } = launch(qemu(GREET, ANSWER, "exec sleep 1000"));
  machine.close();
  machine.close();
  expect(() => process.kill(machine.pid, 0)).toThrow();
  expect(openDescriptors()).toBe(before);
});

test("an agent that came back once may still be lost", () => {
  const reason = deathOf([port(true), port(false, true), longerThanAway, port(false), "sleep 60"]);
  expect(reason).toContain("the agent went away");
});

test("a console log that cannot be made fails the launch and leaves no descriptor", () => {
  const over = spec();
  mkdirSync(join(over.directory, "console.log"));
  const env = qemu(GREET, ANSWER, "sleep 60");
  const before = openDescriptors();
  expect(() => launch(env, over)).toThrow("EISDIR");
  expect(openDescriptors()).toBe(before);
});
