/** Compressed kernels and modules: which format, and its contents. */

import { execFile } from "node:child_process";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { HostError } from "../errors/errors.ts";
import { decodeLz4 } from "./lz4.ts";

export type Compression = "gzip" | "xz" | "zstd" | "lz4" | "bzip2" | "lzma" | "lzo" | "none";

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["lz4", [0x02, 0x21, 0x4c, 0x18]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["lzma", [0x5d, 0x00, 0x00]],
  ["lzo", [0x89, 0x4c, 0x5a, 0x4f]],
];

/** The host lacks the program that unpacks a format. */
export class MissingDecompressor extends HostError {}

/** The compression that the first bytes tell. */
export const compressionOf = (data: Uint8Array): Compression =>
  MAGICS.find(([, magic]) => magic.every((byte, i) => data[i] === byte))?.[0] ?? "none";

/** More than any kernel or module unpacks to; a bound against damaged or hostile input. */
const LARGEST = 1 << 30;

/** Formats that have no decoder in this process: the program that reads stdin and writes stdout. */
const PROGRAMS: Readonly<Partial<Record<Compression, readonly [string, ...string[]]>>> = {
  xz: ["xz", "--decompress", "--stdout", "--single-stream"],
  lzma: ["xz", "--decompress", "--stdout", "--format=lzma"],
  bzip2: ["bzip2", "--decompress", "--stdout"],
  lzo: ["lzop", "--decompress", "--stdout"],
};

/** The Debian package of each of those programs. */
const PACKAGES: Readonly<Record<string, string>> = { xz: "xz-utils", bzip2: "bzip2", lzop: "lzop" };

const filter = (argv: readonly [string, ...string[]], input: Uint8Array, what: string): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    const child = execFile(
      program,
      args,
      { encoding: "buffer", maxBuffer: LARGEST },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        reject(
          (error as NodeJS.ErrnoException).code === "ENOENT"
            ? new MissingDecompressor(
                `${what} is compressed with ${program}, and the program \`${program}\` is missing`,
                {
                  hint: `Install the package ${PACKAGES[program] ?? program}, or unpack the file beforehand.`,
                },
              )
            : new HostError(`${what}: ${program} cannot unpack it: ${stderr.toString().trim()}`, {
                cause: error,
              }),
        );
      },
    );
    // A program that gives up early closes its input; its exit status tells why.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });

/**
 * The contents of `data`, which is returned as it is when it is not compressed. `size` is the size of the
 * result where the container announces it. `what` names the file in errors.
 * Throws HostError when the data is damaged or a program is missing.
 */
export const decompress = async (data: Uint8Array, what: string, size?: number): Promise<Uint8Array> => {
  const compression = compressionOf(data);
  if (compression === "none") return data;
  const program = PROGRAMS[compression];
  if (program !== undefined) return filter(program, data, what);
  try {
    if (compression === "gzip") return gunzipSync(data, { maxOutputLength: LARGEST });
    if (compression === "zstd") return zstdDecompressSync(data, { maxOutputLength: LARGEST });
    if (size !== undefined && size > LARGEST) throw new RangeError(`an unpacked size of ${size} bytes`);
    return decodeLz4(data, size);
  } catch (error) {
    throw new HostError(`${what}: damaged ${compression} data (${(error as Error).message})`, {
      cause: error,
    });
  }
};
