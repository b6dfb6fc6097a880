/**
 * The channel over AF_VSOCK (vsock(7)): a connection to a port of a guest, no network involved.
 *
 * The guest's kernel refuses while nobody listens and does not answer at all before its driver runs, so a
 * connect is short and repeated until the agent is there.
 */

import { ProviumError, SysError, TimeoutError } from "../errors/errors.ts";
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
import { after, type Deadline, monotonic, type Op, sleep, until } from "../sys/op.ts";
import { POLLOUT, type Reactor } from "../sys/reactor.ts";
import type { Channel } from "./channel.ts";
import { StreamChannel } from "./stream.ts";

const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SOCKADDR_VM_BYTES = 16;
/** How long one attempt may hang; the kernel's own limit is two seconds. */
const ATTEMPT_MS = 500;
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

/** One attempt: the connected descriptor, or the errno of the refusal. */
function* attempt(
  reactor: Reactor,
  cid: number,
  port: number,
  deadline: Deadline,
): Op<{ fd: number } | number> {
  const fd = check("socket(AF_VSOCK)", libc.socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  let connected = false;
  try {
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
        if (!(yield* until(() => writable, deadline))) return ETIMEDOUT;
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
 * Connects to `port` of the guest `cid`, again and again until it stands or the deadline passes. `abort` is
 * asked between attempts: an error it returns (the machine died) ends the tries.
 */
export function* connectVsock(
  reactor: Reactor,
  cid: number,
  port: number,
  deadline: Deadline,
  abort: () => Error | undefined = () => undefined,
): Op<Channel> {
  let refusal = 0;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5)) {
    const dead = abort();
    if (dead !== undefined) throw dead;
    const result = yield* attempt(reactor, cid, port, Math.min(deadline, after(ATTEMPT_MS)));
    if (typeof result !== "number") return new StreamChannel(reactor, result.fd, { transport: "vsock" });
    refusal = result;
    if (monotonic() + pause >= deadline) break;
    yield* sleep(pause);
  }
  throw new TimeoutError(`no agent answered on vsock port ${port} of CID ${cid} before the deadline`, {
    cause: new SysError("connect", refusal, errnoName(refusal), describe(refusal)),
  });
}

/** Whether this kernel has AF_VSOCK at all. */
export const hasVsock = (): boolean => {
  try {
    closeFd(check("socket(AF_VSOCK)", libc.socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    return true;
  } catch (error) {
    if (error instanceof ProviumError) return false;
    throw error;
  }
};
