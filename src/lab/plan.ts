/** From profile and options to what the VMM is told. Pure. */

import type { Profile } from "../config/schema.ts";
import { ApiError } from "../errors/errors.ts";
import { SERIAL_CONSOLE } from "../sys/architecture.ts";
import type { BootOptions } from "./options.ts";
import type { BootRequest } from "./ports.ts";

/** How long a boot may take, before the factor for software emulation. */
export const BOOT_TIMEOUT_MS = 30_000;

/** Boot deadlines are multiplied by this without hardware acceleration. */
export const TCG_FACTOR = 4;

/** What the clock of a deterministic machine says when nobody says otherwise: 2024 begins, in UTC. */
const STILL_TIME = 1_704_067_200;

/** What a deterministic machine is given where the test leaves it open; others are left as they are. */
export const settled = (options: BootOptions, seed: () => bigint): BootOptions =>
  options.deterministic
    ? { ...options, rngSeed: options.rngSeed ?? seed(), initialTime: options.initialTime ?? STILL_TIME }
    : options;

/** "1000000000.250000000"; undefined for a time that Linux cannot set. */
const clockWord = (seconds: number | undefined): string | undefined => {
  if (seconds === undefined || seconds < 0) return undefined;
  const whole = Math.floor(seconds);
  const nanoseconds = Math.min(999_999_999, Math.round((seconds - whole) * 1e9));
  return `${whole}.${String(nanoseconds).padStart(9, "0")}`;
};

/**
 * Words for the wrapper, the agent and the kernel's own pool, into which its whole command line goes. The time stamp
 * counter of a machine that counts instructions has nanoseconds, whatever was measured of the host's.
 */
const repeatWords = (options: BootOptions): readonly string[] => {
  const clock = clockWord(options.initialTime);
  return [
    ...(clock === undefined ? [] : [`provium.time=${clock}`]),
    ...(options.deterministic
      ? [
          "tsc_early_khz=1000000",
          "provium.mailbox=1",
          `provium.seed=${(options.rngSeed ?? 0n).toString(16).padStart(16, "0")}`,
        ]
      : []),
  ];
};

/** Consoles that are captured. The last `console=` word is the guest's /dev/console. */
const consoles = (profile: Profile): readonly string[] => [
  "console=hvc0",
  `console=${SERIAL_CONSOLE[profile.architecture]}`,
];

export const memoryOf = (profile: Profile, options: BootOptions): number =>
  options.memoryBytes ?? profile.memoryBytes;
export const cpusOf = (profile: Profile, options: BootOptions): number => options.cpus ?? profile.cpus;

/**
 * The whole kernel command line. Missing consoles go in front, so that a `console=` of the user's own remains
 * the last one and thereby /dev/console. So does all else of ours: words of the user's own for init are not forgotten at
 * `rdinit=` (`rdinit_setup`, init/main.c), and a `--`, after which everything is init's, does not hide ours from the kernel.
 * `emulated`: the machine has no hardware acceleration.
 */
export const kernelCmdline = (
  profile: Profile,
  options: BootOptions,
  artefacts: string,
  emulated = false,
): string => {
  const wordsOf = (...texts: readonly string[]): string[] =>
    texts
      .join(" ")
      .split(/\s+/)
      .filter((word) => word !== "" && !(options.deterministic && word.startsWith("tsc_early_khz=")));
  const times = emulated && options.kernelCmdline === undefined ? timing(profile, options) : "";
  const ours = [...wordsOf(artefacts, times), ...repeatWords(options)];
  // The last rdinit= counts, and where the wrapper is to start it has to be that.
  const taken = ours.some((word) => word.startsWith("rdinit="));
  const theirs = wordsOf(options.kernelCmdline ?? profile.cmdline, options.kernelCmdlineAppend ?? "");
  const words = [...ours, ...theirs.filter((word) => !(taken && word.startsWith("rdinit=")))];
  const present = (console: string): boolean =>
    words.some((word) => word === console || word.startsWith(`${console},`));
  return [...consoles(profile).filter((console) => !present(console)), ...words].join(" ");
};

/**
 * What an emulated PC needs said. The embedded guest on one CPU takes its ticks from the PIT: the kernel then does not spend
 * 100 ms of busy waiting on measuring the APIC's timer. Any other kernel leaves out the check whether the timer's interrupts
 * arrive, as Linux does by itself under KVM: on a busy host they arrive late, and it panics ("IO-APIC + timer doesn't work").
 */
const timing = (profile: Profile, options: BootOptions): string => {
  if (profile.architecture !== "x86_64") return "";
  if (profile.origin !== "embedded") return "no_timer_check";
  return cpusOf(profile, options) === 1 ? "nolapic_timer" : "";
};

/** COMMAND_LINE_SIZE of x86 and arm64, without the NUL. What is behind it the kernel does not read. */
const LONGEST_CMDLINE = 2047;

/** The command line, where a kernel reads all of it. */
export const wholeCmdline = (line: string): string => {
  const length = Buffer.byteLength(line);
  if (length <= LONGEST_CMDLINE) return line;
  throw new ApiError(
    `boot: the kernel's command line has ${length} bytes with what Provium adds, and a kernel reads at most ${LONGEST_CMDLINE}`,
    { hint: "Shorten kernel_cmdline, kernel_cmdline_append or the profile's cmdline." },
  );
};

/**
 * The embedded guest's kernel trusts the CPU's generator and boots sooner without a further device. Of other
 * kernels nothing is known, and one that waits for entropy would boot late.
 */
export const needsHardwareRng = (profile: Profile): boolean => profile.origin !== "embedded";

export const bootRequest = (profile: Profile, options: BootOptions, attached = 0): BootRequest => ({
  profile: profile.name,
  files: options.files ?? [],
  disks: (options.disks ?? []).length + attached > 0,
});

export interface BootBound {
  readonly ms: number;
  /** For messages: "30 s", "120 s (30 s, times 4 without KVM)". */
  readonly text: string;
}

export const bootBound = (options: BootOptions, emulated: boolean): BootBound => {
  const asked = options.bootTimeoutMs ?? BOOT_TIMEOUT_MS;
  const ms = emulated ? asked * TCG_FACTOR : asked;
  const plain = `${asked / 1000} s`;
  return { ms, text: emulated ? `${ms / 1000} s (${plain}, times ${TCG_FACTOR} without KVM)` : plain };
};
