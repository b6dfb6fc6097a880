/**
 * A session that was parked when its machine was saved: going on with it, and a rehearsal while it rests.
 */

import type { Channel } from "../channel/channel.ts";
import { GuestError, ProtocolError, TimeoutError, VmDeadError } from "../errors/errors.ts";
import type { Guest, GuestIdentity, Rehearse, ResumeGuest, SessionMark } from "../lab/ports.ts";
import { EBUSY } from "../sys/libc.ts";
import { after, type Deadline, monotonic, type Op, sleep, until } from "../sys/op.ts";
import { Client } from "./client.ts";
import { ACTOR_IO, PROTOCOL_VERSION } from "./messages.ts";
import { noSession, RemoteGuest, readReady } from "./session.ts";

/** How long the first connection to a restored agent waits for its greeting; every further one twice as long. */
const GREETING_MS = 1_000;
const RECONNECT_MS = 20;

/**
 * Goes on with the session that was parked when the machine was saved. Over vsock the agent greets first, as on any
 * connection; on a serial port the session is where it was, and both directions are empty.
 *
 * The vsock driver of a restored guest cuts every connection when it hears of its new context ID (virtio 1.2, 5.10.6.7:
 * VIRTIO_VSOCK_EVENT_TRANSPORT_RESET), and ours too if that stands by then: the guest forgets it and tells nobody.
 */
export const resumeGuest: ResumeGuest = function* (connect, mark, identity, deadline, revive) {
  if (identity.protocol !== PROTOCOL_VERSION)
    throw new ProtocolError(
      `the agent in the snapshot speaks protocol ${identity.protocol} and this provium speaks protocol ${PROTOCOL_VERSION}`,
      { hint: "take the snapshot anew" },
    );
  for (let greetingMs = GREETING_MS; ; greetingMs *= 2) {
    const channel = yield* connect();
    const mayBeCut = channel.transport === "vsock";
    const greetBy = mayBeCut ? Math.min(deadline, after(greetingMs)) : deadline;
    try {
      return yield* goOn(channel, mark, identity, { greetBy, deadline }, revive);
    } catch (error) {
      if (!mayBeCut || !wasCut(error) || monotonic() >= deadline) throw error;
    }
    yield* sleep(RECONNECT_MS);
  }
};

/** Whether another connection may do better. */
const wasCut = (error: unknown): boolean =>
  error instanceof VmDeadError ||
  error instanceof TimeoutError ||
  (error instanceof GuestError && error.errno === EBUSY);

function* goOn(
  channel: Channel,
  mark: SessionMark,
  identity: GuestIdentity,
  { greetBy, deadline }: { readonly greetBy: Deadline; readonly deadline: Deadline },
  revive?: (guest: Guest) => void,
): Op<Guest> {
  let greeted = channel.resync !== undefined;
  let closed: Error | undefined;
  const client = new Client(channel, mark);
  const guest = new RemoteGuest(client, identity);
  const done = (refusal: Error | undefined): void => {
    if (refusal === undefined) revive?.(guest);
  };
  channel.listen({
    frame(body) {
      if (greeted) client.frame(body);
      else {
        readReady(body);
        greeted = true;
      }
    },
    closed(reason) {
      closed = reason;
      client.closed(reason);
    },
  });
  const started = monotonic();
  try {
    yield* until(() => greeted || closed !== undefined, greetBy);
    const request = greeted
      ? client.begin("RESUME", { token: mark.token }, { actor: ACTOR_IO, subject: { call: "restore" }, done })
      : undefined;
    yield* until(() => request?.settled !== false || closed !== undefined, deadline);
    if (request?.settled !== true) throw noSession(closed, monotonic() - started);
    request.take();
    return guest;
  } catch (error) {
    client.close();
    throw error;
  }
}

/** Has the agent of a parked session, on a serial port, run a command that does nothing. The channel is closed then. */
export const rehearse: Rehearse = function* (channel, mark, deadline) {
  const client = new Client(channel, mark);
  channel.listen({ frame: (body) => client.frame(body), closed: (reason) => client.closed(reason) });
  try {
    const request = client.begin("REHEARSE", {}, { actor: ACTOR_IO, subject: { call: "restore" } });
    if (!(yield* until(() => request.settled, deadline)))
      throw new TimeoutError("the agent did not come back from a command that does nothing");
    request.take();
  } finally {
    client.close();
  }
};
