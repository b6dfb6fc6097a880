/**
 * Large buffers. Touching fresh memory page by page costs more than filling it; with huge pages it costs a
 * five-hundredth of the faults. madvise(2), MADV_HUGEPAGE; where the kernel refuses, nothing is lost.
 */

import { libc, ptr } from "./libc.ts";

const HUGE_FROM_BYTES = 4 * 1024 * 1024;
const PAGE_BYTES = 4096;
const MADV_HUGEPAGE = 14;

/** A zeroed buffer of `size` bytes. */
export const largeBuffer = (size: number): Uint8Array => {
  const buffer = new Uint8Array(size);
  if (size >= HUGE_FROM_BYTES) {
    const address = ptr(buffer);
    const first = Math.ceil(address / PAGE_BYTES) * PAGE_BYTES;
    const length = Math.floor((address + size - first) / PAGE_BYTES) * PAGE_BYTES;
    libc.madvise(first, length, MADV_HUGEPAGE);
  }
  return buffer;
};
