/**
 * QMP, QEMU's control protocol: one JSON object a line in each direction.
 *
 * QEMU greets first; `qmp_capabilities` ends the negotiation; after that each command carries an `id` which
 * comes back with its `return` or `error`. Objects with `event` arrive at any time.
 * Source: docs/interop/qmp-spec of QEMU.
 */

import { HostError, ProtocolError, TimeoutError } from "../errors/errors.ts";
import { closeFd, dupFd, EAGAIN, errnoName, readSome, setNonBlocking, writeSome } from "../sys/libc.ts";
import { type Deadline, monotonic, type Op, Pending, until } from "../sys/op.ts";
import { sendWithDescriptor } from "../sys/passing.ts";
import { POLLIN, POLLOUT, type Reactor, type Watch } from "../sys/reactor.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export interface QmpEvent {
  readonly name: string;
  readonly data: JsonObject;
}

/** QEMU refused a command: `kind` is its error class, "GenericError" mostly. */
export class QmpError extends HostError {
  constructor(
    readonly command: string,
    readonly kind: string,
    description: string,
  ) {
    super(`QEMU refused ${command}: ${description}`);
  }
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const textOf = (value: Json | undefined): string => (typeof value === "string" ? value : "");

/** Longest line that is accepted; real answers are a few hundred KiB at most. */
const MAX_LINE_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES = 16 * 1024;
const NEWLINE = 10;

interface Asked {
  readonly command: string;
  readonly answer: Pending<Json>;
}

/** A line on its way to QEMU, with our copy of the descriptor that goes along with its first byte. */
interface Line {
  rest: Uint8Array;
  descriptor: number | undefined;
}

export class Qmp {
  /** QEMU's version as in "7.2.22", once it has greeted. */
  version = "";
  private readonly greeting = new Pending<true>();
  private readonly asked = new Map<number, Asked>();
  private readonly listeners: ((event: QmpEvent) => void)[] = [];
  private readonly chunk = new Uint8Array(CHUNK_BYTES);
  private partial: Uint8Array[] = [];
  private partialBytes = 0;
  private outgoing: Line[] = [];
  /** A command that carries a descriptor is under way: QEMU holds one at a time. */
  private giving = false;
  private nextId = 1;
  private ended: Error | undefined;
  private watch: Watch | undefined;

  /** Takes over `fd`, the monitor's end of a socket pair. */
  constructor(
    private readonly fd: number,
    reactor: Reactor,
  ) {
    setNonBlocking(fd);
    this.watch = reactor.watch(fd, POLLIN, (events) => {
      if ((events & POLLOUT) !== 0) this.flush();
      this.drain();
    });
  }

  /** Waits for the greeting and leaves the negotiation mode. */
  *open(deadline: Deadline): Op<void> {
    yield* this.greeting.wait(deadline, () => this.late("its greeting"));
    yield* this.execute("qmp_capabilities", undefined, deadline);
  }

  /**
   * Runs a command and returns its answer. Throws `QmpError` on a refusal and when the monitor is gone. With
   * `descriptor` (for `getfd`, `add-fd`) QEMU gets a copy of that open file; the descriptor stays the caller's.
   */
  *execute(command: string, args: JsonObject | undefined, deadline: Deadline, descriptor?: number): Op<Json> {
    if (descriptor === undefined) return yield* this.ask(command, args, deadline);
    // Of several who wait for their turn one gets it, and the others wait on.
    while (this.giving && this.ended === undefined) {
      yield* until(() => !this.giving || this.ended !== undefined, deadline);
      if (this.giving && monotonic() >= deadline) throw this.late(command);
    }
    this.giving = true;
    try {
      return yield* this.ask(command, args, deadline, descriptor);
    } finally {
      this.giving = false;
    }
  }

  /**
   * Gives QEMU a copy of an open file under `name`, for whatever takes the name of a descriptor (`fd:` migration,
   * `netdev_add` with `fd=`): who uses it takes it over. Of one that nobody took, `closefd` gets rid.
   */
  *giveFd(name: string, descriptor: number, deadline: Deadline): Op<void> {
    yield* this.execute("getfd", { fdname: name }, deadline, descriptor);
  }

  /** Sends a command whose answer nobody waits for. */
  post(command: string, args: JsonObject): void {
    if (this.ended === undefined) this.send({ execute: command, arguments: args, id: this.nextId++ });
  }

  /** Hears every event, in order, from the reactor. */
  onEvent(listener: (event: QmpEvent) => void): void {
    this.listeners.push(listener);
  }

  /** Serves everything that QEMU has sent so far, without waiting. */
  drain(): void {
    while (this.watch !== undefined) {
      const n = readSome(this.fd, this.chunk);
      if (n === -EAGAIN) return;
      if (n <= 0) {
        this.end(new HostError(n === 0 ? "QEMU closed its monitor" : `QEMU's monitor: ${errnoName(-n)}`));
        return;
      }
      this.take(this.chunk.slice(0, n));
    }
  }

  /** Idempotent; commands under way fail. */
  close(): void {
    this.end(new HostError("QEMU's monitor was closed"));
  }

  private *ask(
    command: string,
    args: JsonObject | undefined,
    deadline: Deadline,
    descriptor?: number,
  ): Op<Json> {
    if (this.ended !== undefined) throw this.ended;
    const id = this.nextId++;
    const answer = new Pending<Json>();
    this.asked.set(id, { command, answer });
    try {
      const message = args === undefined ? { execute: command } : { execute: command, arguments: args };
      this.send({ ...message, id }, descriptor);
      return yield* answer.wait(deadline, () => this.late(command));
    } finally {
      this.asked.delete(id);
    }
  }

  private late(what: string): Error {
    return new TimeoutError(`QEMU did not answer ${what} in time`);
  }

  private take(bytes: Uint8Array): void {
    let rest = bytes;
    for (let at = rest.indexOf(NEWLINE); at >= 0; at = rest.indexOf(NEWLINE)) {
      const line = Buffer.concat([...this.partial, rest.subarray(0, at)]).toString("utf8");
      this.partial = [];
      this.partialBytes = 0;
      rest = rest.subarray(at + 1);
      if (line.trim() !== "") this.receive(line);
      if (this.watch === undefined) return;
    }
    if (rest.byteLength === 0) return;
    this.partial.push(rest);
    this.partialBytes += rest.byteLength;
    if (this.partialBytes > MAX_LINE_BYTES)
      this.end(new ProtocolError(`QEMU's monitor sent a line of more than ${MAX_LINE_BYTES} bytes`));
  }

  private receive(line: string): void {
    let message: Json;
    try {
      message = JSON.parse(line) as Json;
    } catch (cause) {
      this.end(
        new ProtocolError(`QEMU's monitor sent something that is not JSON: ${line.slice(0, 200)}`, { cause }),
      );
      return;
    }
    if (!isObject(message)) return;
    if (isObject(message.QMP)) this.greeted(message.QMP);
    else if (typeof message.event === "string") {
      const data = message.data;
      const event = { name: message.event, data: isObject(data) ? data : {} };
      for (const listener of this.listeners) listener(event);
    } else this.answered(message);
  }

  private greeted(greeting: JsonObject): void {
    const version = isObject(greeting.version) ? greeting.version.qemu : undefined;
    if (isObject(version))
      this.version = ["major", "minor", "micro"].map((part) => String(version[part] ?? "?")).join(".");
    this.greeting.settle(true);
  }

  private answered(message: JsonObject): void {
    const asked = this.asked.get(message.id as number);
    if (asked === undefined) return;
    const error = message.error;
    if (isObject(error))
      asked.answer.fail(new QmpError(asked.command, textOf(error.class), textOf(error.desc)));
    else asked.answer.settle(message.return ?? null);
  }

  private send(message: JsonObject, descriptor?: number): void {
    // A copy: whoever sends may be interrupted and close his own before the kernel has taken this line.
    const copy = descriptor === undefined ? undefined : dupFd(descriptor);
    this.outgoing.push({
      rest: new TextEncoder().encode(`${JSON.stringify(message)}\n`),
      descriptor: copy,
    });
    this.flush();
  }

  private flush(): void {
    while (this.watch !== undefined && this.outgoing.length > 0) {
      const line = this.outgoing[0] as Line;
      const n =
        line.descriptor === undefined
          ? writeSome(this.fd, line.rest)
          : sendWithDescriptor(this.fd, line.rest, line.descriptor);
      if (n === -EAGAIN) break;
      if (n < 0) {
        // What QEMU still had to say is worth more than the failed write.
        this.drain();
        this.end(new HostError(`QEMU's monitor: ${errnoName(-n)}`));
        return;
      }
      if (line.descriptor !== undefined) closeFd(line.descriptor);
      line.descriptor = undefined;
      line.rest = line.rest.subarray(n);
      if (line.rest.byteLength === 0) this.outgoing.shift();
    }
    if (this.watch !== undefined) this.watch.events = this.outgoing.length > 0 ? POLLIN | POLLOUT : POLLIN;
  }

  private end(reason: Error): void {
    if (this.watch === undefined) return;
    this.watch.close();
    this.watch = undefined;
    closeFd(this.fd);
    for (const { descriptor } of this.outgoing.splice(0)) if (descriptor !== undefined) closeFd(descriptor);
    this.ended = reason;
    this.greeting.fail(reason);
    for (const { answer } of this.asked.values()) answer.fail(reason);
  }
}
