/** How each fault is brought about on a process. */

import { closeSync, openSync, readFileSync, statfsSync, writeSync } from "node:fs";
import { cut, descendants, firstSocket, narrow, noDescriptors, noMemory, type Process } from "./kernel.ts";
import type { Fault, Victim } from "./table.ts";
import { until } from "./until.ts";

/** How long a process stands still: about what a laptop's lid or a hypervisor's migration takes. */
export const STOP_MS = Number(process.env.CHAOS_STOP_MS ?? 10_000);
const DAY_S = 86_400n;
/** Slots of the file that clock.c reads. */
export const CLOCK_SLOTS = 65_536;
const SLOW_TURNS = 40;
const SLOW_STOP_MS = 45;
const SLOW_RUN_MS = 5;

export interface Scene {
  readonly dispatcher: number;
  readonly runner: number;
  /** The run's temporary directory as the dispatcher sees it: its own tmpfs where the disk is to be full. */
  readonly temp: string;
  /** The file with the offsets of clocks. */
  readonly clock: string;
  /** Its standard output, while the driver reads it. */
  readonly output: { close(): void; slow(): void };
  /** Remembers what there is by now and has to be gone afterwards. */
  readonly note: () => void;
}

const isProgram = (one: Process, name: string): boolean => one.command[0]?.endsWith(`/${name}`) === true;
const RUNS: Readonly<Record<Exclude<Victim, "dispatcher" | "runner">, (one: Process) => boolean>> = {
  qemu: (one) => one.command[0]?.includes("qemu-system") === true,
  switch: (one) => isProgram(one, "provium-helper") && one.command[1] === "switch",
  holder: (one) =>
    isProgram(one, "provium-helper") && one.command[1] === "netns" && one.command[2] === "hold",
  disk: (one) => isProgram(one, "provium-helper") && one.command[1] === "disk",
  agent: (one) => one.name === "provium-agent",
  task: (one) => one.name === "provium-task",
  worker: (one) => one.name === "provium-worker",
};

/** The process of a scene, if it exists by now. */
export const find = (victim: Victim, scene: Pick<Scene, "dispatcher" | "runner">): Process | undefined => {
  const command: string[] = [];
  if (victim === "dispatcher") return { pid: scene.dispatcher, parent: 0, name: "", command };
  if (victim === "runner") return { pid: scene.runner, parent: scene.dispatcher, name: "", command };
  return descendants(scene.runner).find(RUNS[victim]);
};

/** The descriptor through which its owner speaks to it. */
const channelOf = (victim: Victim, target: Process, chardev: "agent" | "monitor" = "agent"): number => {
  if (victim === "qemu") {
    const text = target.command.find((word) => word.startsWith(`socket,id=${chardev},fd=`));
    return Number(text?.split("fd=")[1]);
  }
  // Runners, the helper and agents of this host have it as their first inherited descriptor; tasks and workers anywhere.
  return victim === "task" || victim === "worker" ? firstSocket(target.pid) : 3;
};

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
};

const slow = async (victim: Victim, target: Process, scene: Scene): Promise<void> => {
  if (victim === "dispatcher") scene.output.slow();
  // A pipe has no buffer that somebody else could make smaller than what is in it.
  else if (victim !== "holder") narrow(target.pid, channelOf(victim, target));
  for (let turn = 0; turn < SLOW_TURNS; turn++) {
    signal(target.pid, "SIGSTOP");
    await Bun.sleep(SLOW_STOP_MS);
    signal(target.pid, "SIGCONT");
    await Bun.sleep(SLOW_RUN_MS);
  }
};

/** Takes every block that the dispatcher's temporary directory has left. */
const fill = (scene: Scene): void => {
  const directory = `/proc/${scene.dispatcher}/root${scene.temp}`;
  const { bavail, bsize } = statfsSync(directory);
  const piece = new Uint8Array(1024 * 1024);
  const fd = openSync(`${directory}/fill`, "w");
  try {
    for (let left = bavail * bsize + piece.byteLength; left > 0; left -= piece.byteLength)
      writeSync(fd, piece);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(fd);
  }
};

/** By when a process that has just begun has loaded its libraries. */
const LOADED_MS = 5000;

const jump = async (target: Process, scene: Scene, seconds: bigint): Promise<void> => {
  const reads = (): boolean => readFileSync(`/proc/${target.pid}/maps`, "latin1").includes(scene.clock);
  if (!(await until(reads, LOADED_MS)))
    throw new Error(`process ${target.pid} does not read its clock through clock.c`);
  const fd = openSync(scene.clock, "r+");
  writeSync(fd, new Uint8Array(BigInt64Array.of(seconds).buffer), 0, 8, (target.pid % CLOCK_SLOTS) * 8);
  closeSync(fd);
};

/** Brings the fault about; comes back once it is over, or once it is there for good. */
export const inject = async (fault: Fault, victim: Victim, target: Process, scene: Scene): Promise<void> => {
  switch (fault) {
    case "kill":
      return void process.kill(target.pid, "SIGKILL");
    case "stop":
      process.kill(target.pid, "SIGSTOP");
      await Bun.sleep(STOP_MS);
      return signal(target.pid, "SIGCONT");
    case "closed":
      return victim === "dispatcher" ? scene.output.close() : cut(target.pid, channelOf(victim, target));
    case "monitor closed":
      return cut(target.pid, channelOf(victim, target, "monitor"));
    case "slow":
      return slow(victim, target, scene);
    case "disk full":
      return fill(scene);
    case "no descriptors":
      return noDescriptors(target.pid);
    case "no memory":
      return noMemory(target.pid);
    case "clock ahead":
      return jump(target, scene, DAY_S);
    case "clock back":
      return jump(target, scene, -DAY_S);
  }
};
