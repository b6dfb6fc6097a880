/**
 * A descriptor handed to the process at the other end of a Unix socket: SCM_RIGHTS of unix(7), sendmsg(2).
 * The receiver gets a descriptor of its own for the same open file; ours stays ours.
 */

import { EINTR, errno, libc, ptr } from "./libc.ts";

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const EPROTO = 71;

// On 64-bit Linux, glibc and musl: struct msghdr (56 bytes), struct iovec (16), struct cmsghdr (16) with one int.
const IOVEC_AT = 56;
const CONTROL_AT = 72;
const CONTROL_LENGTH = 20;
const CONTROL_SPACE = 24;

/** Sends `bytes` with a copy of `descriptor` attached to the first of them. Bytes sent, or `-errno`. */
export const sendWithDescriptor = (socket: number, bytes: Uint8Array, descriptor: number): number => {
  // Over an ArrayBuffer from the start: asking a small typed array for its `buffer` later would move its bytes.
  const memory = new ArrayBuffer(CONTROL_AT + CONTROL_SPACE);
  const message = new Uint8Array(memory);
  const view = new DataView(memory);
  const base = BigInt(ptr(message));
  view.setBigUint64(16, base + BigInt(IOVEC_AT), true);
  view.setBigUint64(24, 1n, true);
  view.setBigUint64(32, base + BigInt(CONTROL_AT), true);
  view.setBigUint64(40, BigInt(CONTROL_SPACE), true);
  view.setBigUint64(IOVEC_AT, BigInt(ptr(bytes)), true);
  view.setBigUint64(IOVEC_AT + 8, BigInt(bytes.byteLength), true);
  view.setBigUint64(CONTROL_AT, BigInt(CONTROL_LENGTH), true);
  view.setInt32(CONTROL_AT + 8, SOL_SOCKET, true);
  view.setInt32(CONTROL_AT + 12, SCM_RIGHTS, true);
  view.setInt32(CONTROL_AT + 16, descriptor, true);
  for (;;) {
    const n = Number(libc.sendmsg(socket, message, MSG_NOSIGNAL));
    if (n >= 0) return n;
    const code = errno();
    if (code !== EINTR) return -code;
  }
};

/** Takes the descriptor that came with the next byte of a socket; it is close-on-exec. `-errno`, or -EPROTO when none came. recvmsg(2). */
export const receiveDescriptor = (socket: number): number => {
  const memory = new ArrayBuffer(CONTROL_AT + CONTROL_SPACE + 1);
  const message = new Uint8Array(memory);
  const view = new DataView(memory);
  const base = BigInt(ptr(message));
  view.setBigUint64(16, base + BigInt(IOVEC_AT), true);
  view.setBigUint64(24, 1n, true);
  view.setBigUint64(32, base + BigInt(CONTROL_AT), true);
  view.setBigUint64(40, BigInt(CONTROL_SPACE), true);
  view.setBigUint64(IOVEC_AT, base + BigInt(CONTROL_AT + CONTROL_SPACE), true);
  view.setBigUint64(IOVEC_AT + 8, 1n, true);
  for (;;) {
    const n = Number(libc.recvmsg(socket, message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT));
    if (n > 0)
      return view.getInt32(CONTROL_AT + 12, true) === SCM_RIGHTS && view.getBigUint64(40, true) > 0n
        ? view.getInt32(CONTROL_AT + 16, true)
        : -EPROTO;
    if (n === 0) return -EPROTO;
    const code = errno();
    if (code !== EINTR) return -code;
  }
};
