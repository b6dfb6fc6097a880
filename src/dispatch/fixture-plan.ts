/** What fixtures are built with, and for whom. */

import type { EventStream } from "../events/stream.ts";
import type { KeyContext } from "../fixture/key.ts";
import type { Store } from "../fixture/store.ts";
import type { Down, Job, Request } from "../runner/protocol.ts";
import type { StartRunner } from "./runner-process.ts";
import type { Step } from "./schedule.ts";

export interface FixturePlan {
  readonly store: Store;
  readonly keys: KeyContext;
  /** Entries are stored compressed. */
  readonly compress: boolean;
  /** Everything about the job of a build but its directories. */
  readonly job: (file: string, path: string) => Omit<Job, "directory" | "staging">;
  /** Builds that nobody waits for yet, at a time. */
  readonly ahead: number;
  /** When people are told which other run they wait for; 10 s unless a test has less. */
  readonly patienceMs?: number;
  /** Bytes that a builder may occupy. */
  readonly runnerMemory: number;
}

export interface FixtureSurroundings {
  readonly stream: EventStream;
  readonly startRunner: StartRunner;
  /** Tells the schedule what happened. */
  readonly schedule: (step: Step) => void;
  /** The path of a private directory below the run's. */
  readonly directory: (name: string) => string;
  /** Answers what a build asks for. */
  readonly serve: (id: number, request: Request, job: Job, reply: (message: Down) => boolean) => void;
}

/** Who waits for a fixture: a test file, or the build of another fixture. */
export interface Asker {
  /** Names it in events and in the pool. */
  readonly path: string;
  /** The Lua file. */
  readonly file: string;
}
