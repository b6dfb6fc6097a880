/** Bad input of every kind: the run ends with the right exit code and an error that a tired user understands. */

import { expect, test } from "bun:test";
import { Project } from "./run.ts";

const BOOT = `test("boots", function(t) provium:vm("a", "mine"):boot{ boot_timeout = 2 } end)\n`;
const profile = (lines: string): string => `[profiles.mine]\ncmdline = "quiet panic=-1"\n${lines}\n`;

/** A Lua file against a provium.toml: exit code and all of these texts in the output. */
const cases: readonly {
  readonly title: string;
  readonly files: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly code: number;
  readonly says: readonly (string | RegExp)[];
}[] = [
  {
    title: "a missing kernel is named with its path",
    files: { "provium.toml": profile(`kernel = "no-such-kernel"`), "a.test.lua": BOOT },
    code: 1,
    says: [/no-such-kernel/, /mine/, /no such file|does not exist|not found/i],
  },
  {
    title: "a kernel that is no kernel is refused before QEMU starts",
    files: { "provium.toml": profile(`kernel = "bad"`), bad: "this is text", "a.test.lua": BOOT },
    code: 1,
    says: [/bad/, /not a Linux kernel/i],
  },
  {
    title: "a missing initrd is named with its path",
    files: {
      "provium.toml": profile(`kernel = "bad"\ninitrd = "no-such-initrd"`),
      bad: "x",
      "a.test.lua": BOOT,
    },
    code: 1,
    says: [/no-such-initrd|not a Linux kernel/],
  },
  {
    title: "an unknown profile names the known ones",
    files: { "a.test.lua": `provium:vm("a", "defualt")\n` },
    code: 1,
    says: [/unknown profile .defualt./, /default/],
  },
  {
    title: "a Lua syntax error names file and line",
    files: { "a.test.lua": `local x = 1\nlocal y = = 2\n` },
    args: ["--vmm", "local"],
    code: 1,
    says: [/a\.test\.lua:2/],
  },
  {
    title: "a malformed provium.toml names file and line",
    files: { "provium.toml": `[provium]\nroots = [\n`, "a.test.lua": "" },
    code: 2,
    says: [/provium\.toml/, /:\d+/],
  },
  {
    title: "a blank command line of a profile is refused",
    files: { "provium.toml": `[profiles.mine]\nkernel = "k"\ncmdline = "  "\n`, "a.test.lua": "" },
    code: 2,
    says: [/profile `mine` has empty cmdline/],
  },
  {
    title: "an unknown key of provium.toml gets a suggestion and is no error",
    files: { "provium.toml": `[provium]\nrots = ["."]\n`, "a.test.lua": `test("x", function() end)\n` },
    args: ["--vmm", "local"],
    code: 0,
    says: [/rots/, /roots/],
  },
  {
    title: "an unknown flag exits with 2 and a suggestion",
    files: { "a.test.lua": "" },
    args: ["--filtre", "x"],
    code: 2,
    says: [/--filtre/, /--filter/],
  },
  {
    title: "a bad duration on the command line names the value and the form",
    files: { "a.test.lua": "" },
    args: ["--timeout", "soon"],
    code: 2,
    says: [/soon/, /500ms|5s|2m/],
  },
  {
    title: "a bad size names the value and the form",
    files: { "a.test.lua": `provium:vm("a", "default", { memory = "lots" })\n` },
    args: ["--vmm", "local"],
    code: 1,
    says: [/lots/, /512M|"1G"/],
  },
  {
    title: "a missing path is an error, not an empty run",
    files: {},
    args: ["no-such-dir"],
    code: 2,
    says: [/no-such-dir/],
  },
  {
    title: "a call in the wrong state names the VM and the state",
    files: {
      "a.test.lua": `local a = provium:vm("a", "default"):boot()\na:shutdown()\ntest("x", function(t) a:run("true") end)\n`,
    },
    args: ["--vmm", "local"],
    code: 1,
    says: [/vm `a` is shutdown; run needs booted/],
  },
];

for (const { title, files, args, code, says } of cases) {
  test(title, async () => {
    using project = new Project(files);
    const result = await project.run(args ?? []);
    for (const text of says) expect(result.text).toMatch(text);
    expect(result.text).not.toMatch(/bug in provium/);
    expect(result.code).toBe(code);
    expect(project.processes()).toEqual([]);
    expect(project.runDirectories()).toEqual([]);
  });
}

test("without QEMU the error names the package to install", async () => {
  using project = new Project({ "a.test.lua": `provium:vm("a", "default"):boot()\n` });
  const result = await project.run([], { PATH: project.directory });
  expect(result.text).toMatch(/qemu-system-x86_64/);
  expect(result.text).toMatch(/qemu-system-x86\b/);
  expect(result.code).toBe(1);
});

test("what a QEMU that dies at once had to say is in the error", async () => {
  using project = new Project({
    "provium.toml": `[profiles.default]\nqemu_args = ["-machine", "no-such-machine-type"]\n`,
    "a.test.lua": `provium:vm("a", "default"):boot()\n`,
  });
  const result = await project.run([]);
  expect(result.text).toMatch(/unsupported machine type/);
  expect(result.text).toMatch(/exit status 1/);
  expect(result.code).toBe(1);
  expect(project.processes()).toEqual([]);
});
