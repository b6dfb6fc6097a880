/**
 * The man pages, `bun embed/man.ts OUTDIR`: provium(1) from the help's own flag tables and docs/cli.md,
 * provium.toml(5) from docs/cli.md, provium-lua(7) from the definitions of the Lua objects.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { marked } from "marked";
import markedMan from "marked-man";
import manifest from "../package.json" with { type: "json" };
import { COMMON_FLAGS, CONFIG_FLAGS, type Flag, RUN_FLAGS } from "../src/cli/flags.ts";
import { manual } from "./manual.ts";

const out = resolve(process.argv[2] ?? "build/man");
const cli = readFileSync(join(import.meta.dir, "../docs/cli.md"), "utf8");

marked.use(markedMan);
// The extension's own settings are marked's as well.
Object.assign(marked.defaults, {
  manual: "Provium",
  manVersion: `provium ${manifest.version}`,
  breaks: false,
});

/** A section of docs/cli.md without its heading. Throws when it is no longer there. */
const section = (title: string): string => {
  const found = new RegExp(`^## ${title}\\n([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, "m").exec(cli)?.[1];
  if (found === undefined) throw new Error(`docs/cli.md has no section "${title}"`);
  return found.trim();
};

/** Man pages have no tables: a row becomes a paragraph that begins with its first cell. */
const withoutTables = (markdown: string): string =>
  markdown
    .split("\n")
    .filter((line) => !/^\|[-| ]+\|$/.test(line))
    .map((line) => {
      if (!line.startsWith("|")) return line;
      const cells = line.split(/(?<!\\)\|/).slice(1, -1);
      const [first, ...rest] = cells.map((cell) => cell.trim()).filter((cell) => cell !== "");
      return `\n* **${first?.replaceAll("`", "")}**: ${rest.join("; ")}`;
    })
    .join("\n");

/** Links to other pages of docs/ lead nowhere in a man page: their text stays. */
const withoutLinks = (markdown: string): string => markdown.replace(/\[([^\]]+)\]\([^)]*\)/g, "$1");

const flags = Object.entries<Flag>({ ...RUN_FLAGS, ...CONFIG_FLAGS, ...COMMON_FLAGS })
  .map(([name, flag]) => {
    const value = flag.type === "boolean" ? "" : ` *${flag.options?.join("|") ?? flag.valueHint ?? "VALUE"}*`;
    const short = flag.alias === undefined ? "" : `**-${flag.alias}**, `;
    return `* ${short}**--${name}**${value}: ${flag.description}`;
  })
  .join("\n\n");

const page = (name: string, number: number, about: string, text: string): void => {
  const head = `# ${name}(${number}) -- ${about}\n\n`;
  const roff = String(marked.parse(head + withoutTables(withoutLinks(text))));
  mkdirSync(out, { recursive: true });
  // The same sources give the same page: no date.
  writeFileSync(join(out, `${name}.${number}`), roff.replace(/^(\.TH "[^"]*" "[^"]*") "[^"]*"/m, '$1 ""'));
};

page(
  "provium",
  1,
  "tests in virtual machines that are booted for them",
  [
    "## SYNOPSIS\n\n`provium` [*PATHS*] [*FLAGS*]\n\n`provium test` [*PATHS*] [*FLAGS*]\n\n`provium` *COMMAND* `--help`",
    `## DESCRIPTION\n\n${cli.slice(cli.indexOf("\n") + 1, cli.indexOf("\n## ")).trim()}`,
    `## OPTIONS\n\n${flags}`,
    `## WHAT RUNS WHEN\n\n${section("What runs when")}`,
    `## EXIT STATUS\n\n${section("Exit status")}`,
    `## ENVIRONMENT\n\n${section("Environment")}`,
    `## FILES\n\n${section("Files")}`,
    "## SEE ALSO\n\nprovium.toml(5), provium-lua(7), qemu-system-x86_64(1)",
  ].join("\n\n"),
);
page(
  "provium.toml",
  5,
  "configuration of a provium project",
  `## DESCRIPTION\n\n${section("provium.toml")}\n\n## SEE ALSO\n\nprovium(1), provium-lua(7)`,
);
const api = manual();
page(
  "provium-lua",
  7,
  "what a provium test can call",
  `${api.slice(api.indexOf("\n") + 1).trim()}\n\n## SEE ALSO\n\nprovium(1)`,
);
