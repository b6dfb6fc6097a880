/**
 * One runner: the same executable in another role, with a socket on descriptor 3.
 *
 * It is started in a session of its own, so that Ctrl-C at the terminal reaches the dispatcher alone, which then
 * ends the file politely. Should the dispatcher die, the runner sees the end of its socket, and its parent-death
 * signal (set by `provium-helper exec`) ends it even when it does not look.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { ProtocolError } from "../errors/errors.ts";
import { encodeFrame, FrameReader, unpack } from "../events/frame.ts";
import type { Down, Up } from "../runner/protocol.ts";
import { runnerEnvironment } from "../runner/role.ts";

export interface RunnerListener {
  message(message: Up): void;
  /**
   * The process has ended and everything it sent has been delivered. Called once. `overdue`: it ended itself,
   * because a call outlasted the test's deadline and could not be interrupted.
   */
  gone(how: string, overdue: boolean): void;
}

export interface Runner {
  readonly pid: number;
  /** The last of what it wrote to its standard error. */
  readonly complaints: string;
  /** Bytes of memory that it occupies now; 0 when that cannot be said. */
  memory(): number;
  send(message: Down): void;
  /** Stops or goes on taking what it says; while nobody takes it, it waits. */
  listen(on: boolean): void;
  /** SIGKILL. `gone` follows. */
  kill(): void;
}

export type StartRunner = (listener: RunnerListener) => Runner;

const COMPLAINTS_LIMIT = 16 * 1024;
const LAST_WORDS_MS = 200;

/** "exited with status 3", "was killed by SIGKILL". */
const manner = (code: number | null, signal: string | null): string =>
  signal === null
    ? `exited with status ${code}`
    : signal === "SIGALRM"
      ? "was ended: a call of the test did not come back after the test's deadline"
      : `was killed by ${signal}`;

class RunnerProcess implements Runner {
  complaints = "";
  private readonly reader = new FrameReader();
  /** Absent when the process could not be started. */
  private readonly socket: Socket | undefined;
  private how: string | undefined;
  private overdue = false;
  /** Streams of the child that may still deliver something. */
  private readonly open = new Set<"socket" | "stderr">();
  private over = false;

  constructor(
    private readonly child: ChildProcess,
    private readonly listener: RunnerListener,
  ) {
    this.socket = (child.stdio?.[3] ?? undefined) as Socket | undefined;
    if (this.socket !== undefined) {
      this.open.add("socket");
      this.socket.on("data", (chunk: Uint8Array) => this.receive(chunk));
      // A reset is how the end of a killed process may look from here.
      this.socket.on("error", () => {});
      this.socket.on("close", () => this.closed("socket"));
    }
    if (child.stderr) {
      this.open.add("stderr");
      child.stderr.setEncoding("utf8");
      child.stderr.on("data", (text: string) => {
        this.complaints = (this.complaints + text).slice(-COMPLAINTS_LIMIT);
      });
      child.stderr.on("close", () => this.closed("stderr"));
    }
    child.on("error", (error) => this.ended(`could not be started: ${error.message}`));
    child.on("exit", (code, signal) => {
      this.overdue = signal === "SIGALRM";
      this.ended(manner(code, signal));
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  memory(): number {
    try {
      const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.pid}/status`, "latin1"));
      return Number(line?.[1] ?? 0) * 1024;
    } catch {
      return 0;
    }
  }

  send(message: Down): void {
    if (this.open.has("socket")) this.socket?.write(encodeFrame(message));
  }

  listen(on: boolean): void {
    // What a dead one has said is taken in any case.
    if (on || this.how !== undefined) this.socket?.resume();
    else this.socket?.pause();
  }

  kill(): void {
    if (this.how === undefined) this.child.kill("SIGKILL");
  }

  private receive(chunk: Uint8Array): void {
    if (this.over) return;
    try {
      this.reader.push(chunk, (body) => this.listener.message(unpack(body) as Up));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.complaints += `\n${String(error)}`;
      this.kill();
    }
  }

  private closed(stream: "socket" | "stderr"): void {
    this.open.delete(stream);
    this.finish();
  }

  private ended(how: string): void {
    if (this.how !== undefined) return;
    this.how = how;
    this.socket?.resume();
    // What it said last may still be on its way; a grandchild that holds the other end must not keep us waiting.
    const limit = setTimeout(() => {
      this.open.clear();
      this.finish();
    }, LAST_WORDS_MS);
    limit.unref();
    this.finish();
  }

  private finish(): void {
    if (this.over || this.how === undefined || this.open.size > 0) return;
    this.over = true;
    this.socket?.destroy();
    this.child.stderr?.destroy();
    this.listener.gone(this.how, this.overdue);
  }
}

/** Starts runners with a command (program and arguments) and an environment. */
export const runnerStarter =
  (command: readonly string[], environment: NodeJS.ProcessEnv): StartRunner =>
  (listener) => {
    const [program, ...args] = command as [string, ...string[]];
    const child = spawn(program, args, {
      stdio: ["ignore", "ignore", "pipe", "pipe"],
      env: runnerEnvironment(environment),
      detached: true,
    });
    return new RunnerProcess(child, listener);
  };
