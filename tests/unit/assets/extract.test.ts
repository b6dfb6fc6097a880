import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const SOURCE = join(import.meta.dir, "../../../src/assets");
const CONTENT = "#!/bin/sh\necho hello\n";
const HASH = new Bun.CryptoHasher("sha256").update(CONTENT).digest("hex");
let base: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "provium-test-"));
  writeFileSync(join(base, "embedded"), CONTENT);
});
afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

/** In a process of its own, as the compiled executable would: the table of embedded files is set once. */
const extract = (hash = HASH, first = ""): { path: string; error: string } => {
  const script = `
    ${first}
    const { registerEmbedded } = await import("${SOURCE}/embedded.ts");
    const { assetPath } = await import("${SOURCE}/extract.ts");
    registerEmbedded({ helper: { path: "${join(base, "embedded")}", sha256: "${hash}", size: ${CONTENT.length} } });
    try { console.log(assetPath("helper", "${join(base, "run")}")); } catch (error) { console.error(error.message); }`;
  const child = Bun.spawnSync([process.execPath, "-e", script], {
    env: { ...process.env, XDG_CACHE_HOME: join(base, "cache") },
  });
  return { path: child.stdout.toString().trim(), error: child.stderr.toString().trim() };
};

describe("extraction", () => {
  test("a program is extracted once, private and executable", () => {
    const { path } = extract();
    expect(path).toStartWith(join(base, "cache/provium/assets"));
    expect(readFileSync(path, "utf8")).toBe(CONTENT);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    const before = statSync(path).ino;
    expect(extract().path).toBe(path);
    expect(statSync(path).ino).toBe(before);
    expect(readdirSync(dirname(path))).toEqual(["provium-helper"]);
  });

  test("a file that was changed is replaced", () => {
    const { path } = extract();
    writeFileSync(path, "#!/bin/sh\nexit 666 \n");
    expect(readFileSync(extract().path, "utf8")).toBe(CONTENT);
  });

  test("a link in place of the file is replaced, not followed", () => {
    const { path } = extract();
    const victim = join(base, "victim");
    writeFileSync(victim, CONTENT);
    chmodSync(victim, 0o700);
    rmSync(path);
    symlinkSync(victim, path);
    writeFileSync(victim, "other");
    expect(extract().path).toBe(path);
    expect(readFileSync(victim, "utf8")).toBe("other");
    expect(readFileSync(path, "utf8")).toBe(CONTENT);
  });

  test("a draft of somebody whose process has the same number, in a container beside this one, is left alone", () => {
    const draft = join(base, "draft");
    const folder = join(base, "cache/provium/assets", HASH.slice(0, 32));
    mkdirSync(folder, { recursive: true });
    writeFileSync(draft, "theirs, half of it");
    const { path } = extract(
      HASH,
      `require("node:fs").linkSync("${draft}", "${folder}/provium-helper." + process.pid + ".new");`,
    );
    expect(readFileSync(path, "utf8")).toBe(CONTENT);
    expect(statSync(draft).nlink).toBe(2);
  });

  test("a cache that others may write to is not used", () => {
    mkdirSync(join(base, "cache/provium/assets"), { recursive: true });
    chmodSync(join(base, "cache/provium/assets"), 0o777);
    expect(extract().path).toStartWith(join(base, "run/assets"));
  });

  test("a cache that cannot be made leads to the run's own directory", () => {
    writeFileSync(join(base, "cache"), "");
    expect(extract().path).toStartWith(join(base, "run/assets"));
  });

  test("with no place at all the error names the last one that was tried", () => {
    writeFileSync(join(base, "cache"), "");
    writeFileSync(join(base, "run"), "");
    const { path, error } = extract();
    expect(path).toBe("");
    expect(error).toMatch(/run\/assets\/\w+: cannot be written/);
  });

  test("a damaged executable is an error", () => {
    expect(extract("0".repeat(64)).error).toContain("the executable is damaged");
  });
});
