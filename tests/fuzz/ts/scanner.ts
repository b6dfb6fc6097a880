/** Lua sources of any kind through the scanner for fixtures and claims, which never fails. */

import { declaredClaim } from "../../../src/dispatch/claim.ts";
import { scanSource } from "../../../src/fixture/scan.ts";
import { must, type Target } from "../target.ts";

export const scanner: Target = {
  name: "scanner",
  source: import.meta.file,
  seeds: [
    `local g = provium.fixture("base")\nrequire "lib.net"\nvm:push_file("a", "/b", { auto_dep = false })\n`,
    `provium:vm_fixture('a\\x41\\u{48}\\z\n  b')\nprovium:claim{ memory = "2G", cpus = 4 }\n`,
    `--[==[ provium.fixture("no") ]==] depends_on_file [[x]] -- end\nlocal s = [=[\n]]]=]`,
    `lab_fixture"\\065\\10\\"" .. x  vm:push_file("a" .. b) 0x1p-4 1e+5 ..`,
  ],
  words: [
    ...[
      "provium",
      ".fixture(",
      ":vm_fixture(",
      "lab_fixture",
      "require",
      "push_file(",
      "depends_on_file",
      "claim",
    ],
    ...[
      "auto_dep = false",
      "[[",
      "]]",
      "[=[",
      "]=]",
      "--",
      "--[[",
      '"',
      "'",
      "\\z",
      "\\x",
      "\\u{",
      "\\",
      "{",
      "}",
    ],
    ...["(", ")", "..", "::", "0x", "memory", "cpus", "=", "\n", "\r\n", "\u2028", "#!"],
  ],
  run: (input) => {
    const source = new TextDecoder().decode(input);
    const { fixtures, files, modules } = scanSource(source);
    for (const text of [...fixtures.map(({ name }) => name), ...files, ...modules])
      must(text !== "", "no reference is empty");
    declaredClaim(source);
  },
};
