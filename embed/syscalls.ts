/**
 * Writes src/guest/syscalls.json, the numbers of system calls by name and architecture:
 * `bun embed/syscalls.ts HEADERS`.
 *
 * HEADERS is the root of an unpacked linux-libc-dev package (Debian 13 or newer) or of a kernel's
 * `make headers` (6.11 or newer): what holds `x86/asm/unistd_64.h` and `arm64/asm/unistd_64.h`. The kernel makes
 * these headers from its own tables, and a number once given is never given again, so the newest kernel's table
 * serves all of them.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const OUT = join(import.meta.dir, "../src/guest/syscalls.json");
/** Directories of the kernel by the machine name of uname(2); their order is that of the numbers in a row. */
const HEADERS = { x86_64: "x86", aarch64: "arm64" } as const;

/** Names and numbers of an architecture's `unistd_64.h`. Throws where the text is not such a header. */
export const numbersIn = (header: string): Map<string, number> => {
  const numbers = new Map<string, number>();
  for (const [, name, number] of header.matchAll(/^#define __NR_(\w+) (\d+)$/gm))
    numbers.set(name as string, Number(number));
  if (numbers.get("openat") === undefined) throw new Error("no numbers of system calls in this header");
  return numbers;
};

const headerOf = (root: string, directory: string): string => {
  const places = ["usr/lib/linux/uapi", "include", "."].map((place) =>
    join(root, place, directory, "asm/unistd_64.h"),
  );
  const found = places.find((place) => existsSync(place));
  if (found === undefined) throw new Error(`none of these exists: ${places.join(", ")}`);
  return readFileSync(found, "utf8");
};

if (import.meta.main) {
  const root = process.argv[2];
  if (root === undefined) {
    console.error("usage: bun embed/syscalls.ts HEADERS");
    process.exit(2);
  }
  const tables = Object.values(HEADERS).map((directory) => numbersIn(headerOf(root, directory)));
  const names = [...new Set(tables.flatMap((table) => [...table.keys()]))].sort();
  const rows = names.map(
    (name) =>
      `    ${JSON.stringify(name)}: ${JSON.stringify(tables.map((table) => table.get(name) ?? null))}`,
  );
  const machines = JSON.stringify(Object.keys(HEADERS)).replaceAll(",", ", ");
  writeFileSync(
    OUT,
    `{\n  "machines": ${machines},\n  "calls": {\n${rows.join(",\n").replaceAll(/(\d|null),(\d|null)/g, "$1, $2")}\n  }\n}\n`,
  );
  console.log(`${OUT}: ${names.length} names`);
}
