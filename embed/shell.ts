/** What an installation puts beside the executable: completions and the definitions for editors. `bun embed/shell.ts OUTDIR`. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { completionsFor } from "../src/cli/completions.ts";
import { stubs } from "../src/cli/stubs.ts";

const out = resolve(process.argv[2] ?? "build/shell");
mkdirSync(out, { recursive: true });
for (const [shell, name] of [
  ["bash", "provium.bash"],
  ["zsh", "_provium"],
  ["fish", "provium.fish"],
] as const)
  writeFileSync(join(out, name), await completionsFor(shell));
writeFileSync(join(out, "provium.lua"), stubs());
