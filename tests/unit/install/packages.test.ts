import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import manifest from "../../../package.json" with { type: "json" };

const root = resolve(import.meta.dir, "../../..");
const recipes = join(root, "embed/package");
const stage = mkdtempSync(join(tmpdir(), "provium-stage-"));
afterAll(() => rmSync(stage, { recursive: true, force: true }));

const run = (...command: string[]): { code: number; text: string } => {
  const done = Bun.spawnSync(command, { cwd: root, stdout: "pipe", stderr: "pipe" });
  return { code: done.exitCode, text: done.stdout.toString() + done.stderr.toString() };
};

describe("make install", () => {
  test("puts executable, man pages, completions, stubs, documents and examples below DESTDIR and PREFIX, and nothing else", () => {
    const done = run("make", "-s", "install", `DESTDIR=${stage}`, "PREFIX=/opt/p");
    expect(done).toMatchObject({ code: 0 });
    expect(readdirSync(stage)).toEqual(["opt"]);
    const there = (path: string): string => join(stage, "opt/p", path);
    expect(readdirSync(there(".")).sort()).toEqual(["bin", "share"]);
    expect(readdirSync(there("bin"))).toEqual(["provium"]);
    expect(statSync(there("bin/provium")).mode & 0o777).toBe(0o755);
    for (const page of ["man1/provium.1", "man5/provium.toml.5", "man7/provium-lua.7"])
      expect(statSync(there(`share/man/${page}`)).mode & 0o777).toBe(0o644);
    for (const file of ["README.md", "install.md", "examples/01-hello.test.lua"])
      expect(existsSync(there(`share/doc/provium/${file}`))).toBe(true);
    for (const file of [
      "bash-completion/completions/provium",
      "zsh/vendor-completions/_provium",
      "fish/vendor_completions.d/provium.fish",
      "provium/lua/provium.lua",
    ])
      expect(statSync(there(`share/${file}`)).mode & 0o777).toBe(0o644);
    expect(run(there("bin/provium"), "--version").text).toBe(`provium ${manifest.version}\n`);
  }, 120_000);

  test("man pages name every command, flag group and Lua object, without a date or a table's leftovers", () => {
    const page = (path: string): string => readFileSync(join(root, "build/man", path), "utf8");
    for (const word of ["provium demo", "\\-\\-shard", "\\-\\-reporter", "EXIT STATUS"])
      expect(page("provium.1")).toContain(word);
    expect(page("provium.toml.5")).toContain("profiles");
    for (const word of ["vm:boot", "syscall", "bridge"]) expect(page("provium-lua.7")).toContain(word);
    for (const file of ["provium.1", "provium.toml.5", "provium-lua.7"]) {
      expect(page(file)).not.toMatch(/\|[- ]+\|/);
      expect(page(file)).not.toMatch(/^\.TH.*20\d\d/m);
    }
  });
});

describe("recipes of distributions", () => {
  test("all speak of the version in package.json", () => {
    expect(readFileSync(join(recipes, "provium.spec"), "utf8")).toMatch(
      new RegExp(`^Version: +${manifest.version.replaceAll(".", "\\.")}$`, "m"),
    );
    expect(readFileSync(join(recipes, "APKBUILD"), "utf8")).toContain(`\npkgver=${manifest.version}\n`);
  });

  test("APKBUILD is a shell script that defines what abuild calls", () => {
    const script = join(recipes, "APKBUILD");
    const functions = run(
      "dash",
      "-euc",
      `pkgdir=/x; . ${script}; for each in build check package; do command -v $each; done; echo "$makedepends"`,
    );
    expect(functions).toEqual({ code: 0, text: "build\ncheck\npackage\nbash linux-headers patch\n" });
  });

  test("the RPM recipe is understood by rpmspec, where that is installed", () => {
    if (Bun.which("rpmspec") === null) {
      console.log("no rpmspec here (package rpm): the recipe is only read");
      expect(readFileSync(join(recipes, "provium.spec"), "utf8")).toMatch(/^%files$/m);
      return;
    }
    const parsed = run("rpmspec", "--parse", join(recipes, "provium.spec"));
    expect(parsed.code).toBe(0);
    expect(parsed.text).toContain("make");
  });
});
