/**
 * The two consoles of a machine, its serial port (ttyS0, ttyAMA0) and hvc0, as one port: drained whenever the reactor turns, written to
 * through the device that is /dev/console in the guest.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import { ApiError, HostError, TimeoutError } from "../errors/errors.ts";
import type { ConsolePort } from "../lab/ports.ts";
import { closeFd, EAGAIN, readSome, setNonBlocking, writeSome } from "../sys/libc.ts";
import { type Deadline, type Op, until } from "../sys/op.ts";
import { POLLIN, POLLOUT, type Reactor, type Watch } from "../sys/reactor.ts";
import { ConsoleLog } from "./console-log.ts";
import { ConsoleSocket } from "./console-socket.ts";
import { PanicWatch } from "./panic.ts";

const CHUNK_BYTES = 64 * 1024;

export type SerialDevice = "ttyS0" | "ttyAMA0";
export type ConsoleDevice = SerialDevice | "hvc0";

/** The device behind /dev/console: the last `console=` of the kernel's command line. */
export const consoleDevice = (cmdline: string, serial: SerialDevice = "ttyS0"): ConsoleDevice => {
  const named = cmdline.split(/\s+/).filter((word) => word.startsWith("console="));
  return named.at(-1)?.startsWith("console=hvc0") ? "hvc0" : serial;
};

/** One device. */
interface Line {
  readonly device: ConsoleDevice;
  readonly panic: PanicWatch;
  drain(): void;
  /** Writes all of `data`, or tells what stopped it. */
  write(data: Uint8Array, deadline: Deadline): Op<"done" | "late" | "closed" | "mute">;
  close(): void;
}

/** Our ends of a chardev: what QEMU says is read from the one, what we say is written to the other. */
export interface Ends {
  readonly reads: number;
  readonly writes: number;
}

/** A socket, one descriptor for both directions, or two pipes. */
class OpenLine implements Line {
  readonly panic = new PanicWatch();
  private watch: Watch | undefined;
  private readonly chunk = new Uint8Array(CHUNK_BYTES);

  constructor(
    readonly device: ConsoleDevice,
    private readonly ends: Ends,
    private readonly reactor: Reactor,
    private readonly heard: (line: Line, bytes: Uint8Array) => void,
  ) {
    setNonBlocking(ends.reads);
    setNonBlocking(ends.writes);
    this.watch = reactor.watch(ends.reads, POLLIN, () => this.drain());
  }

  get open(): boolean {
    return this.watch !== undefined;
  }

  drain(): void {
    while (this.watch !== undefined) {
      const n = readSome(this.ends.reads, this.chunk);
      if (n === -EAGAIN) return;
      if (n <= 0) {
        this.close();
        return;
      }
      const bytes = this.chunk.slice(0, n);
      this.panic.add(bytes);
      this.heard(this, bytes);
      // A guest that prints without end must not keep the reactor here.
      if (n < CHUNK_BYTES) return;
    }
  }

  *write(data: Uint8Array, deadline: Deadline): Op<"done" | "late" | "closed"> {
    for (let at = 0; at < data.byteLength; ) {
      if (this.watch === undefined) return "closed";
      const n = writeSome(this.ends.writes, data.subarray(at));
      if (n >= 0) at += n;
      else if (n !== -EAGAIN) return "closed";
      else if (!(yield* this.writable(deadline))) return "late";
    }
    return "done";
  }

  close(): void {
    if (this.watch === undefined) return;
    this.watch.close();
    this.watch = undefined;
    for (const fd of new Set([this.ends.reads, this.ends.writes])) closeFd(fd);
  }

  private *writable(deadline: Deadline): Op<boolean> {
    let ready = false;
    const watch = this.reactor.watch(this.ends.writes, POLLOUT, () => {
      ready = true;
    });
    try {
      return yield* until(() => ready || !this.open, deadline);
    } finally {
      watch.close();
    }
  }
}

/** A file that QEMU writes. Nobody tells when there is more, so it is asked; and it takes no input. */
class FileLine implements Line {
  readonly panic = new PanicWatch();
  private readonly chunk = new Uint8Array(CHUNK_BYTES);
  private fd: number | undefined;

  constructor(
    readonly device: ConsoleDevice,
    path: string,
    private readonly heard: (line: Line, bytes: Uint8Array) => void,
  ) {
    this.fd = openSync(path, "w+", 0o600);
  }

  drain(): void {
    while (this.fd !== undefined) {
      const count = readSync(this.fd, this.chunk);
      if (count === 0) return;
      const bytes = this.chunk.slice(0, count);
      this.panic.add(bytes);
      this.heard(this, bytes);
    }
  }

  // biome-ignore lint/correctness/useYield: an operation that never gets to wait
  *write(): Op<"mute"> {
    return "mute";
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }
}

export class MachineConsole implements ConsolePort {
  private socket: ConsoleSocket | undefined;
  private readonly lines: readonly Line[];
  private readonly text: ConsoleLog;
  private readonly input: Line;
  /** Nobody tells when there is more: whoever wants to know looks. */
  private readonly asked: boolean;

  /**
   * Takes over the descriptors of both, or makes the files at those paths for QEMU to write; the log is the new file
   * `path`. `panicked` hears of a panic as soon as it has begun (`complete` false) and again when its report has ended.
   */
  constructor(
    private readonly path: string,
    devices: Readonly<Partial<Record<ConsoleDevice, Ends | string>>>,
    device: ConsoleDevice,
    private readonly reactor: Reactor,
    panicked: (reason: string, complete: boolean) => void,
  ) {
    this.text = new ConsoleLog(path, reactor);
    const heard = (line: Line, bytes: Uint8Array): void => {
      this.text.add(line.device, bytes);
      if (line.panic.reason !== undefined) panicked(line.panic.reason, line.panic.ended);
    };
    this.lines = Object.entries(devices).map(([name, where]) =>
      typeof where === "string"
        ? new FileLine(name as ConsoleDevice, where, heard)
        : new OpenLine(name as ConsoleDevice, where, reactor, heard),
    );
    this.asked = Object.values(devices).some((where) => typeof where === "string");
    this.input = this.lines.find((line) => line.device === device) as Line;
  }

  get length(): number {
    this.look();
    return this.text.length;
  }

  log(): Uint8Array {
    this.look();
    return this.text.all();
  }

  tail(bytes: number): string {
    this.look();
    return this.text.last(bytes);
  }

  read(offset: number, limit: number): Uint8Array {
    return this.text.read(offset, limit);
  }

  kept(offset: number): number {
    return this.text.kept(offset);
  }

  *write(data: Uint8Array, deadline: Deadline): Op<void> {
    const result = yield* this.input.write(data, deadline);
    if (result === "late")
      throw new TimeoutError(`the guest did not read its console ${this.input.device} in time`, {
        hint: "start something in the guest that reads the console, or write less at once",
      });
    if (result === "mute")
      throw new ApiError(
        "the console of a deterministic machine takes no input: it would come at any moment",
        {
          hint: "Start the program with run or run_async and write to its stdin.",
        },
      );
    if (result === "closed") throw new HostError(`the console ${this.input.device} is gone`);
  }

  socketPath(): string {
    if (this.asked)
      throw new ApiError("the console of a deterministic machine has no socket: it would type at any moment");
    // Beside the log, in a directory of the machine's own.
    this.socket ??= new ConsoleSocket(join(dirname(this.path), "console"), this, this.reactor);
    return this.socket.path;
  }

  /** Takes in what both devices have said so far. */
  drain(): void {
    for (const line of this.lines) line.drain();
    // Which of two open lines goes first is not left to the host's clock.
    if (this.asked) this.text.settle();
  }

  /** Ends the capture; what was captured stays readable. Idempotent. */
  close(): void {
    this.drain();
    for (const line of this.lines) line.close();
    this.text.close();
    this.socket?.close();
  }

  private look(): void {
    if (this.asked) this.drain();
  }
}
