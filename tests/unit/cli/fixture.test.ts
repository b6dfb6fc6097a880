import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Store } from "../../../src/fixture/store.ts";

const MAIN = join(import.meta.dir, "../../../src/main.ts");
let project: string;

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "provium-test-"));
  const files = {
    "provium.toml": '[provium]\nroots = ["tests"]\ncache_dir = "cache"\n',
    "tests/net/pair.fixture.lua": "",
    "tests/a.test.lua": "",
    "fixtures/minimal.lua": 'require "fixtures.shared"',
    "fixtures/shared.lua": "",
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    writeFileSync(join(project, path), text);
  }
});
afterAll(() => rmSync(project, { recursive: true }));

const provium = (...args: string[]) => {
  const env = { ...process.env, PROVIUM_ACCEL: "tcg" };
  const child = Bun.spawnSync([process.execPath, MAIN, ...args], { cwd: project, env });
  return { status: child.exitCode, out: child.stdout.toString(), err: child.stderr.toString() };
};

describe("provium fixture", () => {
  test("without an action, with a misspelt one, with too few or too many words", () => {
    const said = (...args: string[]) => {
      const { status, err } = provium("fixture", ...args);
      expect(status).toBe(2);
      return err;
    };
    expect(said()).toContain("fixture: say what to do (known: list, build, rebuild, clean, stale)");
    expect(said("biuld")).toContain('fixture: there is no `biuld` (did you mean "build"?)');
    expect(said("build")).toContain("fixture build needs the name of a fixture");
    expect(said("list", "x")).toContain("fixture list takes no names; it was given `x`");
    expect(said("list", "--fail-fast")).toContain("unknown flag --fail-fast");
  });

  test("builds as many at a time as there are, whatever is allowed", () => {
    const { status, err } = provium("fixture", "build", "nothing", "--jobs", "9007199254740991");
    expect([status, err]).toEqual([
      1,
      expect.stringContaining("fixture `nothing` not found in any test root"),
    ]);
  });

  test("list and clean of a cache that is not there", () => {
    expect(provium("fixture", "list")).toEqual({ status: 0, out: "0 entries, 0B\n", err: "" });
    expect(provium("fixture", "clean").out).toBe("0 entries removed\n");
  });

  test("list shows size, kind, key and name; clean empties", () => {
    const store = new Store(join(project, "cache"), 2 ** 30);
    const base = "0".repeat(32);
    const lock = store.lockBuild(base, "me") as NonNullable<ReturnType<Store["lockBuild"]>>;
    const staged = store.stage(base);
    writeFileSync(join(staged, "memory"), Buffer.alloc(3 * 2 ** 20, 1));
    const key = base + "f".repeat(32);
    store.install(staged, key, { title: "net/pair", kind: "lab", dependencies: [], compressed: [] });
    store.unlockBuild(base, lock);
    const { out } = provium("fixture", "list");
    expect(out).toMatch(new RegExp(`^ *3\\.\\d\\dMiB  lab  ${key}  net/pair\n1 entry, 3\\.\\d\\dMiB\n$`));
    expect(provium("fixture", "clean").out).toBe("1 entry removed\n");
    expect(readdirSync(join(project, "cache"))).toEqual([]);
  });

  test("stale names the fixtures that would have to be built, modules left out", () => {
    const { status, out } = provium("fixture", "stale");
    expect(status).toBe(0);
    expect(out).toBe("fixtures/minimal\nnet/pair\n2 stale fixture(s)\n");
    expect(provium("list", "--fixtures").out).toBe("fixtures/minimal\nnet/pair\n");
  });

  test("a cache to which everybody may write is not used, and that is said", () => {
    const cache = join(project, "cache");
    mkdirSync(cache, { recursive: true });
    chmodSync(cache, 0o777);
    const { status, err } = provium("fixture", "stale");
    chmodSync(cache, 0o700);
    expect(status).toBe(0);
    expect(err).toContain(`the fixture cache \`${cache}\` is not used: everybody may write to it;`);
  });

  test("a refusal that quotes what it was given shows its escape sequences as text", () => {
    const { err } = provium("fixture", "build", "\u001b]0;evil\u0007");
    expect(err).toContain("fixture `\\e]0;evil\\a` not found");
    expect(err).not.toContain("\u001b");
  });

  test("the build of a fixture that is not there leaves with status 1 and says where it was looked for", () => {
    const { status, out, err } = provium("fixture", "build", "net/pear");
    expect([status, out]).toEqual([1, ""]);
    expect(err).toContain('fixture `net/pear` not found in any test root (did you mean "net/pair"?)');
    expect(err).toContain(join(project, "tests/net/pear.fixture.lua"));
  });
});
