/**
 * The process behind one disk, `provium-helper disk`: started with the disk, asked over a socket pair, gone with the
 * disk or with us. It is a process of its own because a guest's I/O goes on while Lua computes.
 */

import type { Channel } from "../channel/channel.ts";
import { openLocal } from "../channel/local.ts";
import { DiskError, HostError, ProtocolError, ProviumError } from "../errors/errors.ts";
import { encodeFields, Frame, type Plan, planOf, type Value } from "../guest/codec.ts";
import type { FieldType } from "../guest/messages.ts";
import { closeFd, describe, errnoName, socketPair } from "../sys/libc.ts";
import { NEVER, type Op, Pending } from "../sys/op.ts";
import { sendWithDescriptor } from "../sys/passing.ts";
import { type Child, exitText, spawn } from "../sys/process.ts";
import type { Reactor } from "../sys/reactor.ts";
import { DISK_MESSAGES } from "./messages.ts";

export interface DiskProcessHost {
  readonly reactor: Reactor;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of `provium-helper`. */
  readonly helper: string;
}

type Fields = Readonly<Record<string, FieldType>>;
type Request = {
  [M in keyof typeof DISK_MESSAGES]: (typeof DISK_MESSAGES)[M] extends { reply: Fields } ? M : never;
}[keyof typeof DISK_MESSAGES];
type Values = Readonly<Record<string, Value>>;

const CONTROL_FD = 3;
/** How long it may take to flush its image once its socket is closed. */
const GOODBYE_MS = 5_000;
const LENGTH_BYTES = 4;
const EINVAL = 22;

const plans = new Map(
  Object.entries(DISK_MESSAGES).map(([name, spec]) => [
    name,
    { kind: spec.kind, fields: planOf(spec.fields), reply: planOf("reply" in spec ? spec.reply : {}) },
  ]),
);
const planFor = (name: string) => plans.get(name) as { kind: number; fields: Plan; reply: Plan };

interface Asked {
  readonly name: Request;
  readonly answer: Pending<Values>;
}

export class DiskProcess {
  private readonly asked = new Map<number, Asked>();
  private lastId = 0;
  private ended: ProviumError | undefined;

  private constructor(
    private readonly label: string,
    private readonly fd: number,
    private readonly channel: Channel,
    private readonly child: Child,
    private readonly trouble: (errno: number, offset: number, write: boolean) => void,
  ) {
    channel.listen({
      frame: (body) => this.frame(new Frame(body)),
      closed: () => this.gone(),
    });
  }

  /** `label` is its name in messages: "disk `d` of vm `a`". `trouble` hears that the host's own storage fails. */
  static start(
    host: DiskProcessHost,
    label: string,
    trouble: (errno: number, offset: number, write: boolean) => void,
  ): DiskProcess {
    const [ours, theirs] = socketPair();
    try {
      const child = spawn(
        {
          program: host.helper,
          args: ["disk", String(CONTROL_FD)],
          env: host.env,
          descriptors: [{ from: theirs, to: CONTROL_FD }],
          helper: host.helper,
          ownGroup: true,
        },
        host.reactor,
      );
      return new DiskProcess(label, ours, openLocal(host.reactor, ours), child, trouble);
    } catch (error) {
      closeFd(ours);
      throw error;
    } finally {
      closeFd(theirs);
    }
  }

  /** What it and what it started have said. */
  output(): string {
    return this.child.output().trim();
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Asks and waits for the answer. DiskError: it said no. */
  *ask(name: Request, values: Values = {}): Op<Values> {
    const { id, answer, body } = this.begin(name, values);
    this.channel.send(...body);
    return yield* this.answered(id, answer);
  }

  /** As `ask`, with a descriptor that it gets a copy of. */
  *give(name: Request, descriptor: number): Op<Values> {
    // The frame goes out by itself, in one piece, so that the descriptor belongs to it.
    yield* this.channel.drained(0);
    const { id, answer, body } = this.begin(name, {});
    const frame = Buffer.concat([new Uint8Array(LENGTH_BYTES), ...body]);
    frame.writeUInt32BE(frame.byteLength - LENGTH_BYTES);
    const n = sendWithDescriptor(this.fd, frame, descriptor);
    if (n !== frame.byteLength) {
      this.asked.delete(id);
      throw new HostError(`${this.label}: its process took no descriptor${n < 0 ? `: ${describe(-n)}` : ""}`);
    }
    return yield* this.answered(id, answer);
  }

  /** Ends it: its image is flushed and unlocked. Idempotent. */
  close(): void {
    this.end(new ProviumError(`${this.label} was closed`));
    this.child.close(GOODBYE_MS);
  }

  private begin(name: Request, values: Values) {
    if (this.ended !== undefined) throw this.ended;
    const { kind, fields } = planFor(name);
    const id = ++this.lastId;
    const answer = new Pending<Values>();
    const body = encodeFields(kind, fields, 0, id, values);
    this.asked.set(id, { name, answer });
    return { id, answer, body };
  }

  private *answered(id: number, answer: Pending<Values>): Op<Values> {
    try {
      return yield* answer.wait(NEVER, () => new Error("never"));
    } finally {
      this.asked.delete(id);
    }
  }

  private frame(frame: Frame): void {
    if (frame.kind === DISK_MESSAGES.TROUBLE.kind) {
      const { errno, offset, write } = frame.decode("TROUBLE", planFor("TROUBLE").fields);
      this.trouble(Number(errno), Number(offset), write === true);
      return;
    }
    // The answer to a call that was interrupted.
    const asked = this.asked.get(frame.requestId);
    if (asked === undefined) return;
    if (frame.kind === DISK_MESSAGES.OK.kind)
      asked.answer.settle(frame.decode(`the answer to ${asked.name}`, planFor(asked.name).reply));
    else if (frame.kind === DISK_MESSAGES.ERROR.kind) asked.answer.fail(refusal(frame));
    else throw new ProtocolError(`${this.label}: a frame of kind ${frame.kind}`);
  }

  private gone(): void {
    if (this.ended !== undefined) return;
    // The kernel closes its descriptors before it tells of its end, which says more.
    this.child.close(GOODBYE_MS);
    const { exit } = this.child;
    const said = this.output();
    const how =
      exit === undefined ? "its process closed its socket" : `its process ended with ${exitText(exit)}`;
    this.end(new HostError(`${this.label}: ${how}${said === "" ? "" : `; it said: ${said}`}`));
  }

  private end(reason: ProviumError): void {
    if (this.ended !== undefined) return;
    this.ended = reason;
    this.channel.close();
    for (const { answer } of this.asked.values()) answer.fail(reason);
  }
}

const refusal = (frame: Frame): DiskError => {
  const { errno, message, injected } = frame.decode("ERROR", planFor("ERROR").fields);
  const code = Number(errno);
  const text = new TextDecoder().decode(message as Uint8Array);
  const words = `${describe(code)} (${errnoName(code)})`;
  // A check of our own has said it all.
  const whole = text === "" ? words : code === EINVAL ? text : `${text}: ${words}`;
  return new DiskError(whole, code, injected === true);
};
