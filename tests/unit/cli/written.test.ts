import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readArguments } from "../../../src/cli/arguments.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, RUN_FLAGS } from "../../../src/cli/flags.ts";
import { outputOptions } from "../../../src/cli/output.ts";
import { defaultConfig } from "../../../src/config/load.ts";

const FLAGS = { ...RUN_FLAGS, ...CONFIG_FLAGS, ...COMMON_FLAGS };
let project: string;

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "provium-test-"));
  writeFileSync(join(project, "recording"), "");
  symlinkSync("recording", join(project, "link"));
  mkdirSync(join(project, "directory"));
});
afterAll(() => rmSync(project, { recursive: true }));

const options = (words: string[], read: string[] = []) =>
  outputOptions(readArguments(words, FLAGS), project, defaultConfig(project, {}), read);

test.each([
  [["--reporter", "junit=r", "--reporter", "tap=r"], `--reporter junit=`],
  [["--reporter", "junit=new", "--save-events", "./directory/../new"], `--reporter junit=`],
  [["--save-events", "recording", "--save-timings", "link"], `--save-events recording`],
])("two outputs in one file are refused: %j", (words, first) => {
  expect(() => options(words)).toThrow("would write into the file of ");
  expect(() => options(words)).toThrow(first);
});

test("an output does not overwrite what the command reads, whatever it is called", () => {
  const read = [join(project, "recording")];
  const refusal = `--save-events link would overwrite ${read[0]}, which is read`;
  expect(() => options(["--save-events", "link"], read)).toThrow(refusal);
  expect(() => options(["--reporter", "json=recording"], read)).toThrow("which is read");
});

test("an output does not overwrite a test or a configuration", () => {
  for (const name of ["a.test.lua", "provium.toml"]) {
    writeFileSync(join(project, name), "");
    const refusal = `--save-events ${name} would overwrite ${name}, which is no output`;
    expect(() => options(["--save-events", name])).toThrow(refusal);
  }
  expect(options(["--save-events", "new.lua"]).saveEvents).toBe(join(project, "new.lua"));
});

test("a device takes any number of outputs, and different files are no matter", () => {
  const words = [
    "--reporter",
    "junit=/dev/null",
    "--reporter",
    "tap=/dev/null",
    "--save-events",
    "/dev/null",
  ];
  expect(options(words).reporters).toHaveLength(3);
  expect(options(["--save-events", "a", "--save-timings", "b"], ["directory"]).saveEvents).toBe(
    join(project, "a"),
  );
});
