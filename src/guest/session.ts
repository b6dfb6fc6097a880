/**
 * A session from its first word: SYNC where the transport has no connections, READY, version check.
 */

import { randomBytes } from "node:crypto";
import type { Channel } from "../channel/channel.ts";
import { ProtocolError, TimeoutError, VmDeadError } from "../errors/errors.ts";
import type {
  AgentState,
  Guest,
  GuestIdentity,
  InterfaceSetup,
  OpenGuest,
  ParkedSession,
} from "../lab/ports.ts";
import { after, type Deadline, monotonic, type Op, until } from "../sys/op.ts";
import { RemoteActor } from "./actor.ts";
import { Client } from "./client.ts";
import { encode, Frame } from "./codec.ts";
import { ACTOR_IO, ACTOR_MAIN, MESSAGES, type Payload, PROTOCOL_VERSION, SYNC_PREAMBLE } from "./messages.ts";
import { printable } from "./wording.ts";

/**
 * SYNC is said again after this long: a guest that is reset may lose what was on its way. Every further wait is twice
 * as long: only the answer to the last one counts, and a guest on a starved host may be slower with it than this.
 */
const SYNC_AGAIN_MS = 500;
const MAGIC = Uint8Array.from(SYNC_PREAMBLE);

const encoded = (text: string): Uint8Array => new TextEncoder().encode(text);

export class RemoteGuest implements Guest {
  readonly main: RemoteActor;

  constructor(
    readonly client: Client,
    readonly identity: GuestIdentity,
  ) {
    this.main = new RemoteActor(client, ACTOR_MAIN, identity.arch);
  }

  get ended(): Error | undefined {
    return this.client.ended;
  }

  onEnd(listener: (reason: Error) => void): void {
    this.client.onEnd(listener);
  }

  *echo(data: Uint8Array): Op<Uint8Array> {
    const subject = { call: "echo" };
    return (yield* this.client.call("ECHO", { data }, { actor: ACTOR_IO, subject })).data;
  }

  *state(): Op<AgentState> {
    const state = yield* this.client.call("STATE", {}, { actor: ACTOR_IO, subject: { call: "state" } });
    return {
      processes: Number(state.processes),
      tasks: Number(state.tasks),
      ioFds: Number(state.io_fds),
      taskFds: Number(state.task_fds),
      queuedBytes: Number(state.queued_bytes),
      rssBytes: Number(state.rss_bytes),
    };
  }

  *setupInterface(setup: InterfaceSetup): Op<string> {
    const fields = {
      mac: Uint8Array.from(setup.mac.split(":"), (part) => Number.parseInt(part, 16)),
      mtu: setup.mtu,
      addresses: setup.addresses.map(encoded),
      routes: setup.routes.map(encoded),
      drop_routes: setup.dropRoutes.map(encoded),
      timeout_ms: setup.timeoutMs,
    };
    const subject = { call: "set up the interface", object: setup.mac };
    const reply = yield* this.client.call("NET_SETUP", fields, { actor: ACTOR_IO, subject });
    return printable(reply.name);
  }

  *setHosts(lines: string): Op<void> {
    const subject = { call: "write /etc/hosts" };
    yield* this.client.call("NET_HOSTS", { text: encoded(lines) }, { actor: ACTOR_IO, subject });
  }

  *shutdown(syncMs: number, deadline: Deadline): Op<void> {
    const request = this.client.begin(
      "SHUTDOWN",
      { sync_ms: syncMs },
      { actor: ACTOR_IO, subject: { call: "shutdown" } },
    );
    if (!(yield* until(() => request.settled, deadline)))
      throw new TimeoutError("the agent did not acknowledge the shutdown");
    request.take();
  }

  *park(deadline: Deadline): Op<ParkedSession> {
    const mark = yield* this.client.park(deadline);
    const revival = this.client.capture();
    return {
      mark,
      revive: (guest) => {
        if (guest instanceof RemoteGuest) revival(guest.client);
      },
    };
  }

  unpark(): void {
    this.client.unpark();
  }

  close(reason?: Error): void {
    this.client.close(reason);
  }
}

const identityOf = (ready: Payload<"READY">): GuestIdentity => ({
  protocol: Number(ready.protocol),
  agentVersion: printable(ready.agent_version),
  kernelRelease: printable(ready.kernel_release),
  arch: printable(ready.arch),
  features: ready.features.map(printable),
  boottimeNs: ready.boottime_ns,
});

/** The READY of a first frame. ProtocolError when it is something else or of another version. */
export const readReady = (body: Uint8Array): Payload<"READY"> => {
  const frame = new Frame(body);
  if (frame.kind !== MESSAGES.READY.kind)
    throw new ProtocolError(`the agent's first message must be READY, and ${frame.name} came`);
  // The version is looked at before the rest: another version may have other fields behind it.
  const version = new Frame(body).firstInteger();
  if (version !== PROTOCOL_VERSION)
    throw new ProtocolError(
      `the agent in the guest speaks protocol ${version} and this provium speaks protocol ${PROTOCOL_VERSION}`,
      {
        hint: "agent and host ship together: rebuild the guest's image, or let provium inject its own agent (inject_agent = true)",
      },
    );
  return frame.payload("READY");
};

const freshNonce = (): bigint => randomBytes(8).readBigUInt64BE() >> 1n;

/** Asks for a session with a nonce of its own, and takes only the READY that echoes it. */
const sync = (resync: NonNullable<Channel["resync"]>): void => {
  const nonce = freshNonce();
  const [body] = encode("SYNC", ACTOR_IO, 0, { protocol: PROTOCOL_VERSION, nonce }) as [Uint8Array];
  resync({
    magic: MAGIC,
    body,
    accepts: (answer) => {
      try {
        const frame = new Frame(answer);
        if (frame.kind !== MESSAGES.READY.kind) return false;
        // A READY of another version has its nonce elsewhere; it is let through to be refused by name.
        if (new Frame(answer).firstInteger() !== PROTOCOL_VERSION) return true;
        return BigInt(frame.payload("READY").nonce) === nonce;
      } catch (error) {
        if (error instanceof ProtocolError) return false;
        throw error;
      }
    },
  });
};

/**
 * Opens the session on a fresh channel. TimeoutError: no READY before the deadline; ProtocolError: something
 * else came; VmDeadError: the channel closed. The channel is closed in each of these cases.
 */
export const openGuest: OpenGuest = function* (channel, deadline) {
  let ready: Payload<"READY"> | undefined;
  let closed: Error | undefined;
  const client = new Client(channel);
  channel.listen({
    frame(body) {
      if (ready === undefined) ready = readReady(body);
      else client.frame(body);
    },
    closed(reason) {
      closed = reason;
      client.closed(reason);
    },
  });
  const started = monotonic();
  try {
    const settled = (): boolean => ready !== undefined || closed !== undefined;
    if (channel.resync === undefined) yield* until(settled, deadline);
    else
      for (let againMs = SYNC_AGAIN_MS; ; againMs *= 2) {
        sync(channel.resync);
        if ((yield* until(settled, Math.min(deadline, after(againMs)))) || monotonic() >= deadline) break;
      }
    if (ready === undefined) throw noSession(closed, monotonic() - started);
    return new RemoteGuest(client, identityOf(ready));
  } catch (error) {
    client.close();
    throw error;
  }
};

/** Why there is no session, in an error. */
export const noSession = (closed: Error | undefined, waitedMs: number): Error => {
  if (closed instanceof ProtocolError) return closed;
  if (closed !== undefined)
    return new VmDeadError(`the agent went away before it was ready: ${closed.message}`, "", {
      cause: closed,
    });
  return new TimeoutError(`the agent did not say READY within ${(waitedMs / 1000).toFixed(1)} s`, {
    hint: "the console log shows how far the guest came; boot_timeout gives it more time",
  });
};
