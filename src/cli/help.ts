/** The help pages. */

import { COMMANDS, type Command } from "./commands.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, type Flag, type FlagGroup, type Flags, RUN_FLAGS } from "./flags.ts";

export interface CommandHelp {
  readonly usage: readonly string[];
  readonly about: string;
  readonly flags: Flags;
}

const GROUPS: readonly FlagGroup[] = ["Which tests", "How they run", "What is printed", "Events", "Other"];

const left = (name: string, flag: Flag): string => {
  const short = flag.alias === undefined ? "    " : `-${flag.alias}, `;
  const value = flag.type === "boolean" ? "" : ` ${flag.options?.join("|") ?? flag.valueHint ?? "VALUE"}`;
  return `  ${short}--${name}${value}`;
};

/** The flags in their groups, in two columns. */
export const renderFlags = (flags: Flags): string => {
  const rows = Object.entries(flags).map(([name, flag]) => ({ flag, text: left(name, flag) }));
  const width = Math.max(...rows.map((row) => row.text.length)) + 2;
  const lines: string[] = [];
  for (const group of GROUPS) {
    const own = rows.filter((row) => row.flag.group === group);
    if (own.length === 0) continue;
    lines.push(`${group}:`, ...own.map((row) => row.text.padEnd(width) + row.flag.description), "");
  }
  return lines.join("\n");
};

export const renderHelp = (help: CommandHelp): string => {
  const [first, ...others] = help.usage;
  return [
    `Usage: ${first}`,
    ...others.map((line) => `       ${line}`),
    "",
    help.about,
    "",
    renderFlags(help.flags),
  ].join("\n");
};

/** `provium --help`. */
export const mainHelp = (): string =>
  [
    "provium runs Lua tests in virtual machines that it boots for them.",
    "",
    "Usage: provium [PATHS] [FLAGS]          every *.test.lua below PATHS (or below the configured roots)",
    "       provium test [PATHS] [FLAGS]     every *.lua below PATHS but fixtures and modules",
    ...Object.entries<Command>(COMMANDS).map(([name, { words, about }]) =>
      `       ${`provium ${name} ${words}`.padEnd(32)} ${about}`.trimEnd(),
    ),
    "",
    "A test file:",
    "",
    '  local vm = provium:vm("web", "default"):boot()',
    "",
    '  test("the kernel answers", function(t)',
    '    t:assert_eq(vm:run("uname -s").stdout, "Linux\\n")',
    "  end)",
    "",
    "Save it as hello.test.lua and type `provium hello.test.lua`.",
    "",
    renderFlags({ ...RUN_FLAGS, ...CONFIG_FLAGS, ...COMMON_FLAGS }),
    "Exit status: 0 all passed, 1 something failed, 2 the run could not be made, 130 interrupted.",
    "",
  ].join("\n");
