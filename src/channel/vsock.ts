/**
 * The channel over AF_VSOCK (vsock(7)): a connection to a port of a guest, no network involved.
 *
 * The guest's kernel refuses while nobody listens, so a connect is repeated until the agent is there. Before its driver
 * runs it does not answer at all: the request waits in the device, and is answered when there is somebody to. It is
 * taken back only when the kernel itself ends the attempt; what is closed earlier stays in the device, and a guest
 * that is slow to boot would find hundreds of requests of which nobody wants an answer any more.
 */

import { SysError, TimeoutError } from "../errors/errors.ts";
import {
  AF_VSOCK,
  check,
  closeFd,
  describe,
  EINPROGRESS,
  errno,
  errnoName,
  libc,
  ptr,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from "../sys/libc.ts";
import { type Deadline, monotonic, type Op, sleep, until } from "../sys/op.ts";
import { POLLOUT, type Reactor } from "../sys/reactor.ts";
import type { Channel } from "./channel.ts";
import { StreamChannel } from "./stream.ts";

const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SOCKADDR_VM_BYTES = 16;
/** SO_VM_SOCKETS_CONNECT_TIMEOUT of <linux/vm_sockets.h>, a struct timeval. */
const CONNECT_TIMEOUT = 6;
/**
 * How long the first attempt may hang, which is the kernel's own choice, and the longest. Longer by half each time: a
 * guest that takes more than a few seconds for an answer would never be reached.
 */
const FIRST_ATTEMPT_MS = 2_000;
const LONGEST_ATTEMPT_MS = 15_000;
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 50;

/** struct sockaddr_vm of <linux/vm_sockets.h>, in the host's byte order. */
export const socketAddress = (cid: number, port: number): Uint8Array => {
  const bytes = new Uint8Array(SOCKADDR_VM_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_VSOCK, true);
  view.setUint32(4, port, true);
  view.setUint32(8, cid, true);
  return bytes;
};

/** struct timeval, in the host's byte order. */
export const timeval = (ms: number): BigInt64Array =>
  BigInt64Array.of(BigInt(Math.trunc(ms / 1000)), BigInt(Math.trunc(ms % 1000)) * 1000n);

interface Attempt {
  readonly cid: number;
  readonly port: number;
  /** When the kernel gives it up. */
  readonly patienceMs: number;
  /** When there is no more point in it. */
  readonly deadline: Deadline;
  readonly pointless: () => boolean;
}

/** One attempt: the connected descriptor, or the errno of the refusal. */
function* attempt(
  reactor: Reactor,
  { cid, port, patienceMs, deadline, pointless }: Attempt,
): Op<{ fd: number } | number> {
  const fd = check("socket(AF_VSOCK)", libc.socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  let connected = false;
  try {
    const limit = timeval(patienceMs);
    const set = libc.setsockopt(fd, AF_VSOCK, CONNECT_TIMEOUT, ptr(limit), limit.byteLength);
    check("setsockopt(SO_VM_SOCKETS_CONNECT_TIMEOUT)", set);
    const code = libc.connect(fd, socketAddress(cid, port), SOCKADDR_VM_BYTES) === 0 ? 0 : errno();
    if (code !== 0) {
      if (code !== EINPROGRESS) return code;
      let writable = false;
      const watch = reactor.watch(fd, POLLOUT, () => {
        writable = true;
        watch.events = 0;
        watch.close();
      });
      try {
        if (!(yield* until(() => writable || pointless(), deadline)) || !writable) return ETIMEDOUT;
      } finally {
        watch.close();
      }
      const refusal = socketError(fd);
      if (refusal !== 0) return refusal;
    }
    connected = true;
    return { fd };
  } finally {
    if (!connected) closeFd(fd);
  }
}

const ETIMEDOUT = 110;

const socketError = (fd: number): number => {
  const value = new Int32Array(1);
  const size = Uint32Array.of(value.byteLength);
  check("getsockopt(SO_ERROR)", libc.getsockopt(fd, SOL_SOCKET, SO_ERROR, ptr(value), ptr(size)));
  return value[0] as number;
};

/**
 * Connects to `port` of the guest `cid`, again and again until it stands or the deadline passes. An error that `abort`
 * returns (the machine died) ends the tries.
 */
export function* connectVsock(
  reactor: Reactor,
  cid: number,
  port: number,
  deadline: Deadline,
  abort: () => Error | undefined = () => undefined,
): Op<Channel> {
  const pointless = (): boolean => abort() !== undefined;
  let refusal = 0;
  let patienceMs = FIRST_ATTEMPT_MS;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5)) {
    const dead = abort();
    if (dead !== undefined) throw dead;
    const result = yield* attempt(reactor, { cid, port, patienceMs, deadline, pointless });
    if (typeof result !== "number") return new StreamChannel(reactor, result.fd, { transport: "vsock" });
    refusal = result;
    if (refusal === ETIMEDOUT) patienceMs = Math.min(LONGEST_ATTEMPT_MS, patienceMs * 1.5);
    if (monotonic() + pause >= deadline) break;
    yield* sleep(pause);
  }
  const why =
    refusal === ETIMEDOUT
      ? "the guest's vsock driver never answered"
      : "its kernel refuses: nobody listens there";
  throw new TimeoutError(
    `no agent answered on vsock port ${port} of CID ${cid} before the deadline (${why})`,
    {
      cause: new SysError("connect", refusal, errnoName(refusal), describe(refusal)),
    },
  );
}
