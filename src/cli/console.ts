/** `provium console PROFILE`: a machine of that profile on this terminal, for looking at an image as it boots. */

import { assetPath } from "../assets/extract.ts";
import type { Profile } from "../config/schema.ts";
import { UsageError } from "../errors/errors.ts";
import { suggestion } from "../errors/suggest.ts";
import type { BootArtefacts } from "../lab/ports.ts";
import { accelerationOf, SERIAL_CONSOLE } from "../sys/architecture.ts";
import { RunDirectory, runBase } from "../sys/directory.ts";
import { Reactor } from "../sys/reactor.ts";
import { chooseAcceleration } from "../vmm/accel.ts";
import { BOARDS, machineOption } from "../vmm/architecture.ts";
import { ramBytes } from "../vmm/arguments.ts";
import { type Capabilities, EVERYTHING } from "../vmm/capabilities.ts";
import { askCapabilities } from "../vmm/introspection.ts";
import { findQemu } from "../vmm/program.ts";
import { type Accel, accelFromEnvironment, countFlag, readArguments, sizeFlag } from "./arguments.ts";
import { bootService, guestProfiles } from "./boot.ts";
import { EXIT_PASSED } from "./exit.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, type Flags, RUN_FLAGS } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { accelerationHost, cacheDirectory } from "./machinery.ts";
import { projectConfig } from "./project.ts";
import { readyProfiles } from "./ready-profiles.ts";
import { Interruption } from "./signals.ts";

export const FLAGS = {
  agent: {
    type: "boolean",
    group: "How they run",
    description: "with agent and wrapper in the initramfs, as tests boot it",
  },
  "print-command": {
    type: "boolean",
    group: "How they run",
    description: "print the command that starts the machine, and start nothing",
  },
  mem: { ...RUN_FLAGS.mem, description: "memory of the machine (the profile's)" },
  cpus: { ...RUN_FLAGS.cpus, description: "CPUs of the machine (the profile's)" },
  accel: RUN_FLAGS.accel,
  "no-build": RUN_FLAGS["no-build"],
  ...CONFIG_FLAGS,
  help: COMMON_FLAGS.help,
} as const satisfies Flags;

const ABOUT = `Boots the profile with its serial console on this terminal: to watch an image boot, or to look around in it. Nothing
of provium is in the guest unless --agent asks for it. Ctrl-A X ends the machine, Ctrl-A C is QEMU's monitor.
`;

/** A word of a shell. */
const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

const hasConsole = (cmdline: string): boolean =>
  cmdline.split(/\s+/).some((word) => word.startsWith("console="));

/** What the wrapper would execute the kernel does, where there is no wrapper: in an initramfs, not on a disk. */
const ownInit = ({ injectAgent, init, disk, root }: Profile): string =>
  injectAgent || init === undefined || init === "none" || disk !== undefined || root !== undefined
    ? ""
    : `rdinit=${init}`;

/** The whole command; a machine of few devices, which is started by hand as well. */
export const consoleCommandLine = (
  qemu: string,
  profile: Profile,
  { kernel, initrd, cmdline }: BootArtefacts,
  machine: { readonly accel: "kvm" | "tcg"; readonly memoryBytes: number; readonly cpus: number },
  capabilities: Capabilities = EVERYTHING,
): string[] => {
  const { architecture } = profile;
  const board = BOARDS[architecture];
  const port = hasConsole(profile.cmdline) ? "" : `console=${SERIAL_CONSOLE[architecture]}`;
  // As machines of tests have it: see kernelCmdline.
  const words = [port, cmdline, ownInit(profile), profile.cmdline];
  return [
    qemu,
    ...[
      "-nodefaults",
      "-no-user-config",
      "-no-reboot",
      "-machine",
      machineOption(board, { accel: machine.accel, rngSeed: undefined }, capabilities),
    ],
    ...["-accel", machine.accel],
    ...["-cpu", board.cpu({ accel: machine.accel, rngSeed: undefined, initialTime: undefined })],
    ...["-m", `${ramBytes(machine.memoryBytes) / 2 ** 20}M`, "-smp", String(machine.cpus)],
    ...["-display", "none", "-serial", "mon:stdio"],
    ...["-kernel", kernel, ...(initrd === undefined ? [] : ["-initrd", initrd])],
    ...["-append", words.filter((word) => word !== "").join(" ")],
    ...profile.qemuArgs,
  ];
};

export const consoleCommand = async (raw: readonly string[]): Promise<number> => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    const usage = ["provium console PROFILE [FLAGS]"];
    process.stdout.write(renderHelp({ usage, about: ABOUT, flags: FLAGS }));
    return EXIT_PASSED;
  }
  const [name = "default", ...surplus] = args.words;
  if (surplus.length > 0)
    throw new UsageError(`console takes one profile; \`${surplus[0]}\` is one too many`);
  const environment = process.env;
  const config = projectConfig(args);
  if (!Object.hasOwn(config.profiles, name))
    throw new UsageError(
      `console: there is no profile \`${name}\` (${suggestion(name, Object.keys(config.profiles).sort())})`,
    );
  using interruption = new Interruption();
  // Ctrl-C belongs to the guest's terminal; what QEMU makes of other signals ends this as well.
  interruption.announce = () => {};
  using directory = RunDirectory.open(runBase(environment));
  const assets = { helper: assetPath("helper", directory.path, environment) };
  const cacheDir = cacheDirectory(environment, directory);
  const say = (text: string): void => void process.stderr.write(`provium: ${text}\n`);
  const onInterrupt = (listener: (reason: string) => void): void => interruption.listen(listener);
  const profiles = guestProfiles(
    await readyProfiles(
      config,
      { files: [], roots: [], profile: name, build: !args.has("no-build") },
      { helper: assets.helper, environment, show: true, say, onInterrupt },
    ),
  );
  const declared = profiles[name] as Profile;
  const profile = args.has("agent") ? declared : { ...declared, injectAgent: false };
  const wish = (args.text("accel") as Accel | undefined) ?? accelFromEnvironment(environment) ?? config.accel;
  const { accel, reason } = chooseAcceleration(
    wish ?? "auto",
    accelerationHost(environment, cacheDir, assets.helper),
  );
  if (reason !== undefined) say(reason);
  const boot = bootService({ assets, cacheDir });
  const artefacts = await boot(
    { profile: name, files: [], disks: false },
    { profiles: { [name]: profile }, accel, transport: "serial" },
  );
  const qemu = findQemu(environment, profile.architecture);
  const machine = {
    accel: accelerationOf(profile.architecture, accel),
    memoryBytes: sizeFlag(args, "mem") ?? profile.memoryBytes,
    cpus: countFlag(args, "cpus") ?? profile.cpus,
  };
  const reactor = new Reactor();
  const enquiry = { env: environment, helper: assets.helper };
  const capabilities = reactor.run(askCapabilities(qemu, BOARDS[profile.architecture], enquiry, reactor));
  const command = consoleCommandLine(qemu, profile, artefacts, machine, capabilities);
  if (args.has("print-command")) {
    process.stdout.write(`${command.map(quoted).join(" ")}\n`);
    return EXIT_PASSED;
  }
  const child = Bun.spawn([assets.helper, "exec", "--parent", String(process.pid), "--", ...command], {
    stdio: ["inherit", "inherit", "inherit"],
  });
  interruption.listen(() => child.kill("SIGTERM"));
  await child.exited;
  return interruption.status ?? child.exitCode ?? 1;
};
