import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const SCRIPT = resolve(import.meta.dir, "../../../install.sh");
const base = mkdtempSync(join(tmpdir(), "provium-install-test-"));
const mirror = join(base, "mirror");
const home = join(base, "home");
const placed = join(home, ".local/bin/provium");
const machine = process.arch === "arm64" ? "arm64" : "x64";
afterAll(() => rmSync(base, { recursive: true, force: true }));

const sum = (data: string): string => new Bun.CryptoHasher("sha256").update(data).digest("hex");

/** A release whose executables are shell scripts that print their version. */
const release = (versions: readonly string[]): void => {
  rmSync(base, { recursive: true, force: true });
  for (const directory of [mirror, home, join(base, "tmp")]) mkdirSync(directory, { recursive: true });
  let sums = "";
  for (const version of versions)
    for (const suffix of ["", "-musl"])
      for (const guest of ["", "-noguest"]) {
        const name = `provium-${version}-linux-${machine}${suffix}${guest}`;
        const data = `#!/bin/sh\necho provium ${version}${guest}\n`;
        writeFileSync(join(mirror, name), data);
        sums += `${sum(data)}  ${name}\n`;
      }
  writeFileSync(join(mirror, "SHA256SUMS"), sums);
};

const install = (args: readonly string[], environment: Record<string, string> = {}, script = SCRIPT) => {
  const done = Bun.spawnSync(["sh", script, ...args], {
    env: {
      PATH: process.env.PATH ?? "",
      HOME: home,
      TMPDIR: join(base, "tmp"),
      PROVIUM_MIRROR: mirror,
      ...environment,
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  return { code: done.exitCode, out: done.stdout.toString(), err: done.stderr.toString() };
};
const version = (path = placed): string => Bun.spawnSync([path]).stdout.toString().trim();

beforeEach(() => release(["0.1.0"]));

describe("a good release", () => {
  test("the newest listed executable lies in ~/.local/bin, and nothing else is left", () => {
    const done = install([]);
    expect(done).toMatchObject({ code: 0, err: "" });
    expect(done.out).toContain(placed);
    expect(version()).toBe("provium 0.1.0");
    expect(readdirSync(join(home, ".local/bin"))).toEqual(["provium"]);
    expect(readdirSync(join(base, "tmp"))).toEqual([]);
  });

  test("--prefix and PREFIX name another place", () => {
    expect(install(["--prefix", join(base, "a")]).code).toBe(0);
    expect(install([], { PREFIX: join(base, "b") }).code).toBe(0);
    expect(version(join(base, "a/bin/provium"))).toBe("provium 0.1.0");
    expect(version(join(base, "b/bin/provium"))).toBe("provium 0.1.0");
    expect(existsSync(placed)).toBe(false);
  });

  test("--version chooses among those of the mirror, with or without v", () => {
    release(["0.1.0", "0.2.0"]);
    expect(install(["--version", "v0.1.0"]).code).toBe(0);
    expect(version()).toBe("provium 0.1.0");
    expect(install([]).code).toBe(0);
    expect(version()).toBe("provium 0.2.0");
  });

  test("--no-guest takes the smaller one", () => {
    expect(install(["--no-guest"]).out).toContain("it carries no guest");
    expect(version()).toBe("provium 0.1.0-noguest");
  });

  test("a file URL and the script's own directory are mirrors", () => {
    expect(install([], { PROVIUM_MIRROR: `file://${mirror}` }).code).toBe(0);
    rmSync(placed);
    cpSync(SCRIPT, join(mirror, "install.sh"));
    expect(install([], { PROVIUM_MIRROR: "" }, join(mirror, "install.sh")).code).toBe(0);
    expect(version()).toBe("provium 0.1.0");
  });

  test("--uninstall removes it, and says so when there is nothing", () => {
    install([]);
    expect(install(["--uninstall"]).code).toBe(0);
    expect(existsSync(placed)).toBe(false);
    expect(install(["--uninstall"])).toMatchObject({ code: 1, err: `provium: ${placed} is not there\n` });
  });
});

describe("nothing is installed and nothing is executed", () => {
  const refused = (done: ReturnType<typeof install>, words: string): void => {
    expect(done.err).toContain(words);
    expect(done.code).toBe(1);
    expect(existsSync(placed)).toBe(false);
    expect(existsSync(join(base, "ran"))).toBe(false);
  };

  test("when a file is not the one of SHA256SUMS", () => {
    writeFileSync(
      join(mirror, `provium-0.1.0-linux-${machine}`),
      `#!/bin/sh\ntouch ${join(base, "ran")}\necho provium 0.1.0\n`,
    );
    refused(install([]), "is damaged or not the original");
  });

  test("when the mirror is empty, not there or of an unknown kind", () => {
    writeFileSync(join(mirror, "SHA256SUMS"), "");
    refused(install([]), `the mirror has nothing for ${machine}`);
    refused(install([], { PROVIUM_MIRROR: join(base, "nosuch") }), "nosuch/SHA256SUMS cannot be read");
    refused(install([], { PROVIUM_MIRROR: "ftp://x" }), "only https, http, file and plain directories");
    refused(install([], { PROVIUM_MIRROR: "" }), "say where the release lies");
  });

  test("when the mirror lacks the version", () => {
    refused(install(["--version", "9.9"]), "the mirror has no version 9.9");
  });

  test("when an argument is unknown or incomplete", () => {
    refused(install(["--bogus"]), "unknown argument --bogus");
    refused(install(["--prefix"]), "--prefix needs a value");
  });

  test("when the place cannot be written", () => {
    writeFileSync(join(base, "file"), "");
    const done = install(["--prefix", join(base, "file")]);
    expect(done.err).toContain("cannot be made");
    expect(done.code).toBe(1);
  });

  test("names in SHA256SUMS that are no release names are not followed", () => {
    const data = readFileSync(join(mirror, `provium-0.1.0-linux-${machine}`), "utf8");
    writeFileSync(join(base, `provium-6-linux-${machine}`), data);
    writeFileSync(join(mirror, "SHA256SUMS"), `${sum(data)}  ../provium-6-linux-${machine}\n`);
    refused(install([]), "the mirror has nothing");
  });
});

test("an executable that does not start here is said, with what may be missing", () => {
  const data = "#!/nosuch/loader\n";
  const name = `provium-0.1.0-linux-${machine}`;
  writeFileSync(join(mirror, name), data);
  chmodSync(join(mirror, name), 0o755);
  writeFileSync(join(mirror, "SHA256SUMS"), `${sum(data)}  ${name}\n`);
  const done = install([]);
  expect(done.code).toBe(1);
  expect(done.err).toContain("does not start here");
  expect(existsSync(placed)).toBe(false);
});
