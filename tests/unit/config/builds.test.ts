import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { withCommandLine } from "../../../src/config/cmdline-file.ts";
import { parseConfig } from "../../../src/config/load.ts";

const directory = mkdtempSync(join(tmpdir(), "provium-config-"));
afterAll(() => rmSync(directory, { recursive: true }));
const write = (name: string, text: string): string => {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
};
const config = (text: string) => parseConfig(join(directory, "provium.toml"), text, {});

test("{out} stands for build_out in every path of the profile", () => {
  const { mine } = config(
    '[profiles.mine]\nbuild = "make O={out}"\nbuild_out = "out"\nkernel = "{out}/bzImage"\ninitrd = "{out}/rd"\nmodules = "{out}/mod"\n',
  ).profiles;
  expect(mine?.build).toEqual({ command: "make O={out}", directory, out: join(directory, "out") });
  expect([mine?.kernel, mine?.initrd, mine?.modules]).toEqual([
    join(directory, "out/bzImage"),
    join(directory, "out/rd"),
    join(directory, "out/mod"),
  ]);
});

test("without build_out a build has a place of its own", () => {
  const { mine } = config('[profiles.mine]\nbuild = "true"\nkernel = "{out}/k"\n').profiles;
  expect(mine?.kernel).toBe(join(directory, ".provium/mine/k"));
});

test("build_out without build, an empty build, cmdline beside cmdline_file are errors", () => {
  expect(() => config('[profiles.a]\nkernel = "k"\nbuild_out = "o"\n')).toThrow("has build_out and no build");
  expect(() => config('[profiles.a]\nkernel = "k"\nbuild = " "\n')).toThrow("has an empty build");
  expect(() => config('[profiles.a]\nkernel = "k"\ncmdline = "a"\ncmdline_file = "c"\n')).toThrow(
    "has both cmdline and cmdline_file",
  );
});

test("from_dir: each directory with a profile file declares one, with paths of its own", () => {
  write("profiles/web/profile.provium.toml", 'kernel = "bzImage"\nmemory = "1G"\nkernl = 1\n');
  write("profiles/notes.txt", "");
  mkdirSync(join(directory, "profiles/empty"), { recursive: true });
  const { profiles, warnings } = config(
    '[profiles]\nfrom_dir = "profiles"\n[profiles.other]\nkernel = "k"\n',
  );
  expect(Object.keys(profiles).sort()).toEqual(["default", "other", "web"]);
  expect(profiles.web?.kernel).toBe(join(directory, "profiles/web/bzImage"));
  expect(warnings.join()).toContain("unknown key `kernl`");
});

test("from_dir: a directory that is not there, and a name that stands twice, are errors", () => {
  expect(() => config('[profiles]\nfrom_dir = "gone"\n')).toThrow("cannot be read (ENOENT)");
  write("twice/web/profile.provium.toml", 'kernel = "k"\n');
  expect(() => config('[profiles]\nfrom_dir = "twice"\n[profiles.web]\nkernel = "k"\n')).toThrow(
    "profile `web` stands here and in",
  );
  expect(() => config('[profiles]\nfrom_dir = "twice"\n[profile.web]\nkernel = "k"\n')).toThrow(
    "profile `web` stands here and in",
  );
});

test("from_dir: what is no string is said to be none", () => {
  expect(() => config("[profiles]\nfrom_dir = 3\n")).toThrow("`profiles.from_dir` must be a string; it is 3");
  expect(() => config('[profiles]\nfrom_dir = ["a"]\n')).toThrow("must be a string; it is an array");
});

test("a profile may be called from_dir", () => {
  expect(Object.keys(config('[profiles.from_dir]\nkernel = "k"\n').profiles)).toContain("from_dir");
});

test("a command line from a file: words of all lines but comments", () => {
  write("cmdline", "# for tests\nquiet  panic=-1\nro\n");
  const { a } = config('[profiles.a]\nkernel = "k"\ncmdline_file = "cmdline"\n').profiles;
  if (a === undefined) throw new Error("no profile");
  const ready = withCommandLine(a);
  expect([ready.cmdline, ready.cmdlineFile]).toEqual(["quiet panic=-1 ro", undefined]);
});

test("a command line file that is missing is left to whoever boots from it; one that cannot be used is an error", () => {
  const { a } = config('[profiles.a]\nkernel = "k"\ncmdline_file = "gone"\n').profiles;
  if (a === undefined) throw new Error("no profile");
  expect(withCommandLine(a)).toBe(a);
  expect(() => withCommandLine({ ...a, cmdlineFile: directory })).toThrow("cannot be read (EISDIR)");
  write("empty", "# nothing\n");
  expect(() => withCommandLine({ ...a, cmdlineFile: join(directory, "empty") })).toThrow("has no words");
});
