/** Small images that look like kernels to whoever reads their headers. */

const PT_NOTE = 4;

const note = (type: number): Buffer => {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(4, 0);
  bytes.writeUInt32LE(4, 4);
  bytes.writeUInt32LE(type, 8);
  bytes.write("Xen\0", 12, "latin1");
  return bytes;
};

/** A 64-bit x86 ELF with two notes (the second is the PVH entry) and a banner. */
export const vmlinux = (pvh: boolean, banner = "Linux version 6.1.0-test (builder) #1 SMP"): Uint8Array => {
  const header = Buffer.alloc(64 + 56);
  header.write("\x7fELF\x02\x01\x01", 0, "latin1");
  header.writeUInt16LE(62, 18);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  const notes = Buffer.concat([note(6), note(pvh ? 18 : 7)]);
  header.writeUInt32LE(PT_NOTE, 64);
  header.writeBigUInt64LE(BigInt(header.length), 64 + 8);
  header.writeBigUInt64LE(BigInt(notes.length), 64 + 32);
  return Uint8Array.from(
    Buffer.concat([header, notes, Buffer.from(`${banner}\0`), Buffer.alloc(1000, "kernel")]),
  );
};

/** A bzImage around `payload`; `size` is the unpacked size that the build appends to most formats. */
export const bzImage = (payload: Uint8Array, size?: number): Uint8Array => {
  const setup = Buffer.alloc(5 * 512);
  setup[0x1f1] = 4;
  setup.writeUInt16LE(0xaa55, 0x1fe);
  setup.write("HdrS", 0x202, "latin1");
  setup.writeUInt16LE(0x020f, 0x206);
  setup.writeUInt16LE(0x400, 0x20e);
  setup.write("6.1.0-test (builder@host) #1 SMP\0", 0x600, "latin1");
  const trailer = Buffer.alloc(size === undefined ? 0 : 4);
  if (size !== undefined) trailer.writeUInt32LE(size);
  setup.writeUInt32LE(16, 0x248);
  setup.writeUInt32LE(payload.length + trailer.length, 0x24c);
  return Uint8Array.from(Buffer.concat([setup, Buffer.alloc(16), payload, trailer]));
};
