import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type DiscoveryPlan, discover } from "../../../src/dispatch/discover.ts";
import { UsageError } from "../../../src/errors/errors.ts";

let project: string;

const FILES: Readonly<Record<string, string>> = {
  "tests/a.test.lua": "",
  "tests/deep/b.test.lua": "",
  "tests/classic.lua": 'local h = require "helpers.net"\nlocal o = require("other")',
  "tests/helpers/net.lua": "",
  "tests/other/init.lua": "",
  "tests/x.fixture.lua": "",
  "tests/fixtures/minimal.lua": 'return require("helpers.guest")',
  "tests/helpers/guest.lua": "",
  "tests/.hidden/c.test.lua": "",
  "tests/notes.txt": "",
};

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "provium-test-"));
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(join(project, dirname(path)), { recursive: true });
    writeFileSync(join(project, path), text);
  }
  symlinkSync("..", join(project, "tests/deep/loop"));
});
afterAll(() => rmSync(project, { recursive: true, force: true }));

const find = (plan: Partial<DiscoveryPlan>): string[] =>
  discover({
    form: "lab",
    paths: [],
    directory: project,
    roots: [],
    dialectOf: (_source, file) => (file.endsWith(".test.lua") ? "lab" : "classic"),
    ...plan,
  }).map((file) => file.path);

describe("discovery", () => {
  test("the lab form takes *.test.lua outside hidden directories, each once", () => {
    expect(find({})).toEqual(["tests/a.test.lua", "tests/deep/b.test.lua"]);
  });

  test("the classic form takes every *.lua but fixtures and the modules that tests and fixtures require", () => {
    expect(find({ form: "classic", paths: ["tests"] })).toEqual([
      "tests/a.test.lua",
      "tests/classic.lua",
      "tests/deep/b.test.lua",
    ]);
  });

  test("a file that is named runs under either form", () => {
    for (const form of ["lab", "classic"] as const)
      expect(find({ form, paths: ["tests/fixtures/minimal.lua", "tests/helpers/net.lua"] })).toEqual([
        "tests/fixtures/minimal.lua",
        "tests/helpers/net.lua",
      ]);
  });

  test("configured roots are searched without paths, and names start at the root", () => {
    expect(find({ roots: [join(project, "tests")] })).toEqual(["a.test.lua", "deep/b.test.lua"]);
  });

  test("a file given twice runs once", () => {
    expect(find({ paths: ["tests", "tests/a.test.lua", "./tests/a.test.lua"] })).toEqual([
      "tests/a.test.lua",
      "tests/deep/b.test.lua",
    ]);
  });

  test("files outside the working directory are named from the directory given", () => {
    expect(
      find({ directory: tmpdir() === "/tmp" ? "/proc" : "/tmp", paths: [join(project, "tests")] }),
    ).toEqual(["a.test.lua", "deep/b.test.lua"]);
  });

  test("a path that does not exist is a usage error that names it", () => {
    expect(() => find({ paths: ["gone"] })).toThrow(UsageError);
    expect(() => find({ paths: ["gone"] })).toThrow(`${join(project, "gone")}: no such file or directory`);
  });

  test("a name that is not UTF-8 is refused for that", () => {
    const below = mkdtempSync(join(project, ".names-"));
    writeFileSync(Buffer.concat([Buffer.from(`${below}/x`), Buffer.of(0xff), Buffer.from(".test.lua")]), "");
    expect(() => find({ paths: [below] })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("is not UTF-8: rename it") }),
    );
  });

  test("what cannot be read, or not twice, is a usage error that names it", () => {
    expect(() => find({ paths: ["/dev/null"] })).toThrow("/dev/null is neither a file nor a directory");
    const circle = join(project, "circle.test.lua");
    symlinkSync("circle.test.lua", circle);
    expect(() => find({ paths: [circle] })).toThrow(`${circle} cannot be read (ELOOP)`);
    expect(find({ paths: ["."] })).not.toContain("circle.test.lua");
    rmSync(circle);
  });
});
