/** `provium init`: the files of a project that passes. */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { HostError, UsageError } from "../errors/errors.ts";
import { readArguments } from "./arguments.ts";
import { EXIT_PASSED } from "./exit.ts";
import { COMMON_FLAGS, type Flags } from "./flags.ts";
import { renderHelp } from "./help.ts";
import { LUARC, writeStubs } from "./lsp-setup.ts";

export const FLAGS = {
  kernel: {
    type: "string",
    valueHint: "FILE",
    group: "Other",
    description: "a kernel to test (bzImage or vmlinux), as the profile `mine`",
  },
  help: COMMON_FLAGS.help,
} as const satisfies Flags;

const config = (kernel: string | undefined): string => `# What every key means: provium.toml(5), docs/cli.md
[provium]
roots = ["tests"]
# retries = 1
# reporters = ["plain", "junit=build/junit.xml"]
${
  kernel === undefined
    ? `
# The profile \`default\` is the guest inside the executable. A kernel of your own:
#
# [profiles.mine]
# kernel = "build/bzImage"
# memory = "512M"
`
    : `
[profiles.mine]
kernel = ${JSON.stringify(kernel)}
memory = "512M"
`
}`;

const test = (
  profile: string,
): string => `-- Run it with \`provium\`; try things with \`provium repl ${profile}\`.
local vm = provium:vm("web", "${profile}"):boot()

test("the kernel says its name", function(t)
  t:assert_eq(vm:run("uname -s").stdout, "Linux\\n")
end)

test("a file that is written can be read", function(t)
  vm:write_file("/tmp/greeting", "hello")
  t:assert_eq(vm:read_file("/tmp/greeting"), "hello")
end)

test("getpid is positive", { tags = "syscalls" }, function(t)
  t:assert(vm:syscall("getpid").ret > 0)
end)
`;

export const init = (raw: readonly string[]): number => {
  const args = readArguments(raw, FLAGS);
  if (args.has("help")) {
    const about =
      "Writes provium.toml, a test that passes, and the definitions for editors. Files that are there stay as they are.";
    process.stdout.write(renderHelp({ usage: ["provium init [DIR]"], about, flags: FLAGS }));
    return EXIT_PASSED;
  }
  const [given = ".", ...surplus] = args.words;
  if (surplus.length > 0) throw new UsageError(`init takes one directory; \`${surplus[0]}\` is one too many`);
  const directory = resolve(given);
  const kernel = args.text("kernel");
  if (kernel !== undefined && !existsSync(kernel)) throw new UsageError(`--kernel ${kernel}: no such file`);
  const path = kernel === undefined ? undefined : relative(directory, resolve(kernel));
  const shown = (file: string): string => {
    const path = relative(process.cwd(), file);
    return path === "" || path.startsWith("..") ? file : path;
  };
  const files: readonly (readonly [string, string])[] = [
    ["provium.toml", config(path)],
    ["tests/hello.test.lua", test(kernel === undefined ? "default" : "mine")],
    [".luarc.json", LUARC],
  ];
  for (const [name, text] of files) {
    const file = join(directory, name);
    if (existsSync(file)) {
      process.stdout.write(`${shown(file)} is there and stays as it is\n`);
      continue;
    }
    try {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    } catch (cause) {
      throw new HostError(`${file} cannot be written`, { cause });
    }
    process.stdout.write(`wrote ${shown(file)}\n`);
  }
  process.stdout.write(`wrote ${shown(writeStubs(directory))}\n`);
  const where = directory === process.cwd() ? "" : `cd ${shown(directory)} && `;
  process.stdout.write(`\nNow: ${where}provium\n`);
  return EXIT_PASSED;
};
