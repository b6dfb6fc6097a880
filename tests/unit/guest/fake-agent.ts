/**
 * An agent made of TypeScript: the other end of a channel in the same reactor, with answers by script.
 */

import type { Channel } from "../../../src/channel/channel.ts";
import { openLocal } from "../../../src/channel/local.ts";
import { openSerial } from "../../../src/channel/serial.ts";
import { encode, encodeReply, Frame, type RequestName } from "../../../src/guest/codec.ts";
import {
  MESSAGES,
  type MessageName,
  type Payload,
  PROTOCOL_VERSION,
  type Reply,
} from "../../../src/guest/messages.ts";
import { openGuest } from "../../../src/guest/session.ts";
import type { Guest } from "../../../src/lab/ports.ts";
import { readSome, setNonBlocking, socketPair, writeSome } from "../../../src/sys/libc.ts";
import { after, type Deadline, type Op, until } from "../../../src/sys/op.ts";
import { POLLIN, Reactor } from "../../../src/sys/reactor.ts";

/** Long enough for any machine; a test that gets here has failed. */
export const SOON = 10_000;

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (data: Uint8Array): string => new TextDecoder().decode(data);

export interface Asked {
  readonly name: MessageName;
  readonly actor: number;
  readonly id: number;
  readonly payload: Record<string, unknown>;
}

type Answerer = (asked: Asked) => void;

const NAMES = new Map(
  Object.entries(MESSAGES).map(([name, spec]) => [spec.kind as number, name as MessageName]),
);

export class FakeAgent {
  readonly reactor = new Reactor();
  /** The host's end, for `openGuest`. */
  readonly host: Channel;
  /** The agent's end. */
  readonly channel: Channel;
  private readonly fd: number;
  readonly asked: Asked[] = [];
  hungUp = false;
  private readonly answerers = new Map<MessageName, Answerer>();

  constructor(serial = false) {
    const [ours, theirs] = socketPair();
    this.host = serial ? openSerial(this.reactor, ours) : openLocal(this.reactor, ours);
    this.fd = theirs;
    this.channel = openLocal(this.reactor, theirs);
    if (!serial) this.serve();
  }

  serve(): void {
    this.channel.listen({
      frame: (body) => {
        const frame = new Frame(body);
        const name = NAMES.get(frame.kind) as MessageName;
        const payload = frame.payload(name) as Record<string, unknown>;
        const asked = { name, actor: frame.actor, id: frame.requestId, payload };
        this.asked.push(asked);
        this.answerers.get(name)?.(asked);
      },
      closed: () => {
        this.hungUp = true;
      },
    });
  }

  /** Answers each request of that name with what `answer` returns; undefined: no answer. */
  on<M extends RequestName>(
    name: M,
    answer: (payload: Payload<M>, asked: Asked) => Reply<M> | undefined,
  ): this {
    this.answerers.set(name, (asked) => {
      const reply = answer(asked.payload as Payload<M>, asked);
      if (reply !== undefined) this.ok(name, asked, reply);
    });
    return this;
  }

  /** Refuses each request of that name. */
  refuse(name: RequestName, errno: number, operation: string, message = ""): this {
    this.answerers.set(name, (asked) => this.error(asked, errno, operation, message));
    return this;
  }

  ok<M extends RequestName>(name: M, asked: Asked, reply: Reply<M>): void {
    this.channel.send(...encodeReply(name, asked.actor, asked.id, reply));
  }

  error(asked: Asked, errno: number, operation: string, message = ""): void {
    const payload = { errno, operation: bytes(operation), message: bytes(message) };
    this.channel.send(...encode("ERROR", asked.actor, asked.id, payload));
  }

  push<M extends MessageName>(name: M, payload: Payload<M>): void {
    this.channel.send(...encode(name, 0, 0, payload));
  }

  ready(changes: Partial<Payload<"READY">> = {}): void {
    this.push("READY", { ...READY, ...changes });
  }

  /** The session, after READY. */
  session(): Guest {
    this.ready();
    return this.run(openGuest(this.host, after(SOON)));
  }

  run<T>(op: Op<T>): T {
    return this.reactor.run(op);
  }

  /** Turns the reactor until the condition holds. */
  wait(condition: () => boolean, deadline: Deadline = after(SOON)): void {
    const held = this.run(until(condition, deadline));
    if (!held) throw new Error("the condition did not come about");
  }

  readyFields(): Payload<"READY"> {
    return READY;
  }

  /** Bytes as they are to the host. */
  raw(data: Uint8Array): void {
    writeSome(this.fd, data);
  }

  /** Hears bytes instead of frames. */
  listenRaw(hear: (data: Buffer) => void): void {
    setNonBlocking(this.fd);
    this.reactor.watch(this.fd, POLLIN, () => {
      const buffer = Buffer.alloc(65_536);
      const n = readSome(this.fd, buffer);
      if (n > 0) hear(buffer.subarray(0, n));
    });
  }

  /** The requests of that name so far. */
  of(name: MessageName): Asked[] {
    return this.asked.filter((asked) => asked.name === name);
  }

  [Symbol.dispose](): void {
    this.host.close();
    this.channel.close();
  }
}

export const READY: Payload<"READY"> = {
  protocol: PROTOCOL_VERSION,
  agent_version: bytes("0.1.0"),
  kernel_release: bytes("6.1.0-test"),
  arch: bytes("x86_64"),
  features: [bytes("mount_vfs")],
  boottime_ns: 1_500_000_000,
  nonce: 0,
  agent_pid: 2,
  task_pid: 3,
};
