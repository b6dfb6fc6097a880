/** As much of ELF as booting needs: is it a kernel image, and can it be entered through PVH? */

const PT_NOTE = 4;
/** The note that holds the 32-bit entry point of the PVH boot protocol. */
const XEN_ELFNOTE_PHYS32_ENTRY = 18;

export const isElf = (data: Uint8Array): boolean =>
  data.length >= 64 && data[0] === 0x7f && data[1] === 0x45 && data[2] === 0x4c && data[3] === 0x46;

const align4 = (n: number): number => (n + 3) & ~3;

/** True when one of the notes between `start` and `end` is the PVH entry. */
const hasPvhNote = (view: DataView, start: number, end: number): boolean => {
  for (let at = start; at + 12 <= end; ) {
    const nameSize = view.getUint32(at, true);
    const dataSize = view.getUint32(at + 4, true);
    const type = view.getUint32(at + 8, true);
    const name = at + 12;
    const next = name + align4(nameSize) + align4(dataSize);
    if (nameSize > end - name || next <= at || next > end) return false;
    const xen = nameSize === 4 && view.getUint32(name, false) === 0x58656e00;
    if (xen && type === XEN_ELFNOTE_PHYS32_ENTRY) return true;
    at = next;
  }
  return false;
};

/**
 * Can QEMU start this image through PVH (a little-endian x86 ELF with the entry note)? False for damaged headers
 * too: the boot then takes another way.
 */
export const hasPvhEntry = (data: Uint8Array): boolean => {
  if (!isElf(data) || data[5] !== 1) return false;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const wide = data[4] === 2;
  const machine = view.getUint16(18, true);
  // EM_386, EM_X86_64
  if (machine !== 3 && machine !== 62) return false;
  const table = wide ? Number(view.getBigUint64(32, true)) : view.getUint32(28, true);
  const entrySize = view.getUint16(wide ? 54 : 42, true);
  const entries = view.getUint16(wide ? 56 : 44, true);
  if (entrySize < (wide ? 56 : 32) || table + entrySize * entries > data.length) return false;
  for (let i = 0; i < entries; i++) {
    const at = table + i * entrySize;
    if (view.getUint32(at, true) !== PT_NOTE) continue;
    const offset = wide ? Number(view.getBigUint64(at + 8, true)) : view.getUint32(at + 4, true);
    const size = wide ? Number(view.getBigUint64(at + 32, true)) : view.getUint32(at + 16, true);
    if (offset + size <= data.length && hasPvhNote(view, offset, offset + size)) return true;
  }
  return false;
};
