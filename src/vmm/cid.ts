/**
 * Reserves a context ID for a guest: an open /dev/vhost-vsock that has claimed it, handed to QEMU as it is.
 * The kernel is the one who knows which IDs are taken, so nothing else on the host can get in between.
 * Source: VHOST_VSOCK_SET_GUEST_CID of <linux/vhost.h>.
 */

import { HostError } from "../errors/errors.ts";
import { closeFd, cText, describe, errno, errnoName, failed, libc } from "../sys/libc.ts";

/** _IOW(VHOST_VIRTIO, 0x60, __u64) */
const VHOST_VSOCK_SET_GUEST_CID = 0x4008af60;
const O_RDWR_CLOEXEC = 0o2000002;
const EADDRINUSE = 98;
const FIRST_CID = 10;
const LAST_CID = 0xfffffffe;

/** The first free ID from 10 upwards and the descriptor that holds it. */
export const reserveCid = (path = "/dev/vhost-vsock"): { readonly fd: number; readonly cid: number } => {
  const fd = libc.open(cText(path) as never, O_RDWR_CLOEXEC, 0);
  if (fd < 0) {
    const code = errno();
    throw new HostError(`cannot open ${path}: ${describe(code)} (${errnoName(code)})`, {
      hint: "load the module with `modprobe vhost_vsock`, or use --transport serial",
    });
  }
  try {
    for (let cid = FIRST_CID; cid < LAST_CID; cid++) {
      const request = new BigUint64Array([BigInt(cid)]);
      if (libc.ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, request as unknown as Uint8Array) === 0)
        return { fd, cid };
      const code = errno();
      if (code !== EADDRINUSE) failed("ioctl(VHOST_VSOCK_SET_GUEST_CID)", code);
    }
    throw new HostError("every vsock context ID of this host is taken");
  } catch (error) {
    closeFd(fd);
    throw error;
  }
};
