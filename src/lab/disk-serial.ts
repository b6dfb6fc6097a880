/** How a disk is found in the guest: its serial number. */

import { createHash } from "node:crypto";

/** What a serial of virtio-blk holds: VIRTIO_BLK_ID_BYTES of the virtio specification. */
const SERIAL_BYTES = 20;

/** The id itself where it fits, else its beginning and what tells it from others. */
export const diskSerial = (id: string): string =>
  id.length <= SERIAL_BYTES
    ? id
    : `${id.slice(0, 11)}-${createHash("sha256").update(id).digest("hex").slice(0, 8)}`;
