/**
 * The runner's side of the control socket of the Ethernet switch: one request, one answer, in order. The messages
 * are in switch-messages.ts, frames and payloads those of the guest's wire.
 */

import { Incoming } from "../channel/incoming.ts";
import { HostError, SysError, TimeoutError } from "../errors/errors.ts";
import { encodeFields, Frame, type Plan, planOf, type Value } from "../guest/codec.ts";
import type { FieldType, MessageSpec } from "../guest/messages.ts";
import {
  closeFd,
  describe,
  dupFd,
  EAGAIN,
  errnoName,
  setNonBlocking,
  socketPair,
  writeSome,
} from "../sys/libc.ts";
import { after, type Op, Pending } from "../sys/op.ts";
import { sendWithDescriptor } from "../sys/passing.ts";
import { type Child, exitText, spawn } from "../sys/process.ts";
import { POLLIN, POLLOUT, type Reactor, type Watch } from "../sys/reactor.ts";
import { CONTROL_FD, SWITCH_MESSAGES, type SwitchMessageName } from "./switch-messages.ts";

/** What the switch needs of its host. */
export interface SwitchHost {
  readonly reactor: Reactor;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of `provium-helper`. */
  readonly helper: string;
}

/** An answer takes microseconds; a host that swaps may need longer. */
const ANSWER_MS = 20_000;
const LENGTH_BYTES = 4;

const table: Readonly<Record<SwitchMessageName, MessageSpec>> = SWITCH_MESSAGES;

type Fields = Readonly<Record<string, FieldType>>;
type Values = Readonly<Record<string, Value>>;

/** Bytes that the socket has not taken yet; a descriptor goes with the first of them. */
interface Unsent {
  bytes: Uint8Array;
  descriptor: number | undefined;
}

interface Question {
  readonly name: SwitchMessageName;
  readonly reply: Plan;
  readonly answer: Pending<Values>;
}

/** One frame: its length in four bytes, then the body. */
const framed = (parts: readonly Uint8Array[]): Uint8Array => {
  const size = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const frame = new Uint8Array(new ArrayBuffer(LENGTH_BYTES + size));
  new DataView(frame.buffer).setUint32(0, size);
  let at = LENGTH_BYTES;
  for (const part of parts) {
    frame.set(part, at);
    at += part.byteLength;
  }
  return frame;
};

export class SwitchControl {
  death: Error | undefined;
  private readonly incoming = new Incoming((body) => this.answered(body));
  private readonly unsent: Unsent[] = [];
  private readonly asked = new Map<number, Question>();
  private nextId = 1;
  private readonly watch: Watch;
  private closed = false;

  private constructor(
    private readonly fd: number,
    private readonly child: Child,
    reactor: Reactor,
  ) {
    setNonBlocking(fd);
    this.watch = reactor.watch(fd, POLLIN, (events) => this.serve(events));
    child.onExit((exit) => {
      const said = child.output().trim();
      this.die(
        new HostError(
          `the network switch ended with ${exitText(exit)}${said === "" ? "" : `; it said: ${said}`}`,
        ),
      );
    });
  }

  /** Starts a switch process, which ends with this object, or with this process at the latest. */
  static start(host: SwitchHost): SwitchControl {
    const [ours, theirs] = socketPair();
    try {
      const child = spawn(
        {
          program: host.helper,
          args: ["switch"],
          env: host.env,
          descriptors: [{ from: theirs, to: CONTROL_FD }],
          helper: host.helper,
          ownGroup: true,
        },
        host.reactor,
      );
      return new SwitchControl(ours, child, host.reactor);
    } catch (error) {
      closeFd(ours);
      throw error;
    } finally {
      closeFd(theirs);
    }
  }

  /** Asks and waits for the answer. The switch gets a copy of `descriptor`. */
  *ask(name: SwitchMessageName, values: Values, descriptor?: number): Op<Values> {
    if (this.death !== undefined) throw this.death;
    const { kind, fields, reply } = table[name];
    const id = this.nextId++;
    const answer = new Pending<Values>();
    this.asked.set(id, { name, reply: planOf((reply ?? {}) as Fields), answer });
    const bytes = framed(encodeFields(kind, planOf(fields), 0, id, values));
    this.unsent.push({ bytes, descriptor: descriptor === undefined ? undefined : dupFd(descriptor) });
    this.flush();
    // An order to stop leaves the question under way: its answer is taken by whoever reads next.
    return yield* answer.wait(
      after(ANSWER_MS),
      () => this.death ?? new TimeoutError(`the network switch did not answer ${name} in time`),
    );
  }

  /** Process id of the switch. */
  get pid(): number {
    return this.child.pid;
  }

  /** Idempotent. Questions under way fail. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.die(new HostError("the network switch was closed"));
    this.child.close();
  }

  private die(reason: Error): void {
    if (this.death !== undefined) return;
    this.death = reason;
    this.watch.close();
    closeFd(this.fd);
    for (const { descriptor } of this.unsent.splice(0)) if (descriptor !== undefined) closeFd(descriptor);
    for (const { answer } of this.asked.values()) answer.fail(reason);
    this.asked.clear();
  }

  private serve(events: number): void {
    if ((events & POLLOUT) !== 0) this.flush();
    if (this.death !== undefined || (events & ~POLLOUT) === 0) return;
    try {
      // At its end the process tells why, in a moment.
      if (this.incoming.pull(this.fd, () => this.death === undefined) !== "more") this.watch.events = 0;
    } catch (error) {
      this.die(error instanceof Error ? error : new HostError(String(error)));
    }
  }

  private flush(): void {
    for (let next = this.unsent[0]; next !== undefined; next = this.unsent[0]) {
      const sent =
        next.descriptor === undefined
          ? writeSome(this.fd, next.bytes)
          : sendWithDescriptor(this.fd, next.bytes, next.descriptor);
      if (sent < 0) {
        // Any other error is the process's end, of which its exit tells.
        this.watch.events = sent === -EAGAIN ? POLLIN | POLLOUT : POLLIN;
        return;
      }
      if (next.descriptor !== undefined) closeFd(next.descriptor);
      next.descriptor = undefined;
      next.bytes = next.bytes.subarray(sent);
      if (next.bytes.byteLength === 0) this.unsent.shift();
    }
    this.watch.events = POLLIN;
  }

  private answered(body: Uint8Array): void {
    const frame = new Frame(body);
    const question = this.asked.get(frame.requestId);
    if (question === undefined) return;
    this.asked.delete(frame.requestId);
    if (frame.kind === SWITCH_MESSAGES.OK.kind) {
      question.answer.settle(frame.decode(`the switch's answer to ${question.name}`, question.reply));
      return;
    }
    const { errno, message } = frame.decode("the switch's refusal", planOf(SWITCH_MESSAGES.ERROR.fields));
    const text = new TextDecoder().decode(message as Uint8Array);
    const code = Number(errno);
    question.answer.fail(
      new HostError(`the network switch refused ${question.name}: ${text}`, {
        cause: code === 0 ? undefined : new SysError(text, code, errnoName(code), describe(code)),
      }),
    );
  }
}
