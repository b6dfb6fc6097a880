/**
 * Which fault on which process at which moment, and how the run must end. The table is the claim; `cell.ts` tries it.
 *
 * Whatever the ending: the run is over in time, says nothing of a bug, exits accordingly, does not disturb the other file
 * (unless the run itself ends), its events keep their rules, and nothing is left behind.
 */

export type Victim =
  | "dispatcher"
  | "runner"
  | "qemu"
  | "switch"
  | "holder"
  | "disk"
  | "agent"
  | "task"
  | "worker";
export type Fault =
  | "kill"
  | "stop"
  | "closed"
  | "monitor closed"
  | "slow"
  | "disk full"
  | "no descriptors"
  | "no memory"
  | "clock ahead"
  | "clock back";
/** `build`: a fixture is being built; the runner is then the one that builds it. */
export type Phase = "boot" | "call" | "stream" | "snapshot" | "restore" | "shutdown" | "idle" | "build";

/**
 * What the machine of a cell is made of: an agent of this host, a worker of one, QEMU, with a network on the switch or on the
 * kernel's bridge, with a disk; `guest` is QEMU too, with a fault that the guest brings about on a process of its own.
 */
export type Stage = "local" | "worker" | "machine" | "network" | "kernel" | "disk" | "guest";

/**
 * `unharmed`: everything passes. `test`: the test that the fault meets fails, the next one passes. `file`: the file fails as
 * a whole. `run`: the run itself ends, and the next one cleans up.
 */
export type Ending = "unharmed" | "test" | "file" | "run";

export interface Cell {
  readonly victim: Victim;
  readonly fault: Fault;
  readonly phase: Phase;
  readonly stage: Stage;
  readonly endings: readonly Ending[];
}

type Endings = readonly Ending[];
/** For every phase, or by phase with `else` for those that are not named. */
type Row = Endings | (Partial<Record<Phase, Endings>> & { readonly else: Endings });

const U: Endings = ["unharmed"];
const T: Endings = ["test"];
const F: Endings = ["file"];
const R: Endings = ["run"];
/** Where it depends on what the process needs next. */
const UT: Endings = ["unharmed", "test"];
const UF: Endings = ["unharmed", "test", "file"];
const ANY: Endings = ["unharmed", "test", "file", "run"];

const DISPATCHER: Partial<Record<Fault, Row>> = {
  kill: R,
  stop: U,
  // Its standard output, by a reader that goes away or is slow.
  closed: U,
  slow: U,
  "disk full": UF,
  "no descriptors": UF,
  // A JavaScript engine that gets no memory ends; what it may not do is to leave something behind.
  "no memory": ANY,
  "clock ahead": U,
  "clock back": U,
};

const RUNNER: Partial<Record<Fault, Row>> = {
  // A builder that is gone is replaced by another, once.
  kill: { build: U, else: F },
  stop: U,
  closed: { build: U, else: F },
  slow: U,
  "disk full": UF,
  "no descriptors": UF,
  "no memory": UF,
  "clock ahead": U,
  "clock back": U,
};

interface Block {
  readonly victim: Victim;
  readonly stages: readonly Stage[];
  readonly phases: readonly Phase[];
  readonly faults: Partial<Record<Fault, Row>>;
}

const MACHINE_PHASES: readonly Phase[] = [
  "boot",
  "call",
  "stream",
  "snapshot",
  "restore",
  "shutdown",
  "idle",
  "build",
];
const LIFE: readonly Phase[] = ["boot", "call", "stream", "shutdown", "idle"];
const LIFE_AND_BUILD: readonly Phase[] = [...LIFE, "build"];
const ENDS: readonly Phase[] = ["boot", "call", "shutdown"];
const ANSWERS: readonly Phase[] = ["call", "stream", "idle"];

const BLOCKS: readonly Block[] = [
  { victim: "dispatcher", stages: ["local"], phases: LIFE, faults: DISPATCHER },
  { victim: "dispatcher", stages: ["machine"], phases: MACHINE_PHASES, faults: DISPATCHER },
  { victim: "runner", stages: ["local"], phases: LIFE, faults: RUNNER },
  { victim: "runner", stages: ["machine"], phases: MACHINE_PHASES, faults: RUNNER },
  {
    victim: "qemu",
    stages: ["machine"],
    phases: MACHINE_PHASES,
    faults: {
      kill: { shutdown: UT, else: T },
      stop: U,
      closed: { shutdown: UT, else: T },
      "monitor closed": { shutdown: UT, call: UT, stream: UT, idle: UT, else: T },
      slow: U,
      "no descriptors": UT,
      "no memory": UT,
      "clock ahead": U,
      "clock back": U,
    },
  },
  {
    victim: "switch",
    stages: ["network"],
    phases: LIFE_AND_BUILD,
    faults: {
      kill: { boot: T, shutdown: UT, else: T },
      // What is lost meanwhile is lost: it carries frames, not streams.
      stop: { boot: U, shutdown: U, idle: U, else: UT },
      closed: { shutdown: UT, else: T },
      slow: U,
      "no descriptors": UT,
      "no memory": UT,
    },
  },
  {
    // Its channel is a pipe that its owner alone can close. What it holds stays there for the machines that have it open.
    victim: "holder",
    stages: ["kernel"],
    phases: LIFE_AND_BUILD,
    faults: {
      kill: { shutdown: UT, else: T },
      stop: U,
      slow: U,
      "no descriptors": U,
      "no memory": U,
    },
  },
  // What these hold goes with them.
  { victim: "dispatcher", stages: ["network", "kernel", "disk"], phases: ENDS, faults: { kill: R } },
  { victim: "runner", stages: ["network", "kernel", "disk"], phases: ENDS, faults: { kill: F } },
  {
    victim: "disk",
    stages: ["disk"],
    phases: LIFE_AND_BUILD,
    faults: {
      kill: { boot: T, shutdown: UT, else: T },
      stop: U,
      closed: { shutdown: UT, else: UT },
      slow: U,
      "disk full": UT,
      "no descriptors": UT,
      "no memory": UT,
    },
  },
  {
    victim: "agent",
    stages: ["local"],
    phases: LIFE,
    faults: {
      kill: { shutdown: UT, else: T },
      stop: U,
      closed: { shutdown: UT, else: T },
      slow: U,
      "disk full": U,
      "no descriptors": UT,
      "no memory": UT,
    },
  },
  {
    victim: "task",
    stages: ["local"],
    phases: LIFE,
    faults: {
      // A command that runs is the I/O process' child: its output comes although its task is gone.
      kill: UT,
      stop: U,
      closed: UT,
      slow: U,
      "no descriptors": UT,
      "no memory": UT,
    },
  },
  {
    victim: "worker",
    stages: ["worker"],
    phases: LIFE,
    faults: { kill: UT, stop: U, closed: UT, slow: U, "no descriptors": UT, "no memory": UT },
  },
  {
    victim: "agent",
    stages: ["guest"],
    phases: ANSWERS,
    faults: { kill: T, stop: U, "clock ahead": U, "clock back": U },
  },
  { victim: "task", stages: ["guest"], phases: ANSWERS, faults: { kill: UT, stop: U } },
  {
    victim: "worker",
    stages: ["guest"],
    phases: ANSWERS,
    faults: { kill: UT, stop: U, "clock ahead": U, "clock back": U },
  },
];

const endingsOf = (row: Row, phase: Phase): Endings =>
  "else" in row ? (row[phase] ?? row.else) : (row as Endings);

export const CELLS: readonly Cell[] = BLOCKS.flatMap(({ victim, stages, phases, faults }) =>
  stages.flatMap((stage) =>
    (Object.entries(faults) as [Fault, Row][]).flatMap(([fault, row]) =>
      phases.map((phase) => ({ victim, fault, phase, stage, endings: endingsOf(row, phase) })),
    ),
  ),
);

/** "runner · kill · call (machine)" */
export const nameOf = ({ victim, fault, phase, stage }: Cell): string =>
  `${victim} · ${fault} · ${phase} (${stage})`;
