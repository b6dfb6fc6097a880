/** The part of cpio-stream that is used here; the package brings no types. */
declare module "cpio-stream" {
  interface EntryHeader {
    name: string;
    mode: number;
    ino: number;
    mtime: Date;
  }
  interface Pack {
    entry(header: EntryHeader, data: Buffer): unknown;
    finalize(): void;
    /** Everything that has been produced and not read yet, null for nothing. */
    read(): Buffer | null;
  }
  const cpio: { pack(options: { format: "newc" }): Pack };
  export default cpio;
}
