import { describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig, parseConfig } from "../../../src/config/load.ts";
import { standingOverlay } from "../../../src/config/overlay.ts";
import { ConfigError } from "../../../src/errors/errors.ts";
import { HOST_ARCHITECTURE } from "../../../src/sys/architecture.ts";

const load = (text: string) => parseConfig("/project/provium.toml", text, { HOME: "/home/me" });

const failure = (text: string): ConfigError => {
  try {
    load(text);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("the configuration was accepted");
};

describe("provium.toml", () => {
  test("an empty file gives the defaults and the embedded profile", () => {
    const config = load("");
    expect(config.roots).toEqual([]);
    expect(config.cacheDir).toBe("/home/me/.cache/provium/fixtures");
    expect(config.cacheMaxSize).toBe(20 * 2 ** 30);
    expect(Object.keys(config.profiles)).toEqual(["default"]);
    expect(config.profiles.default?.origin).toBe("embedded");
    expect(config.warnings).toEqual([]);
  });

  test("relative paths start at the file that declares them", () => {
    const { roots, profiles } = load(
      '[provium]\nroots = ["tests"]\n[profiles.web]\nkernel = "img/bzImage"\ninitrd = "/abs/initrd"\nmodules = "mods"\n',
    );
    expect(roots).toEqual(["/project/tests"]);
    expect(profiles.web).toMatchObject({
      kernel: "/project/img/bzImage",
      initrd: "/abs/initrd",
      modules: "/project/mods",
      cmdline: "quiet panic=-1",
      memoryBytes: 512 * 2 ** 20,
    });
  });

  test("both tables declare profiles, with initramfs as another word for initrd", () => {
    const { profiles } = load(
      '[profile.old]\nkernel = "k"\ninitramfs = "i"\ncmdline = "quiet rdinit=/bin/sh"\n[profiles.new]\nkernel = "k"\nmemory = "1G"\n',
    );
    expect(profiles.old).toMatchObject({
      origin: "classic",
      initrd: "/project/i",
      cmdline: "quiet",
      init: "/bin/sh",
    });
    expect(profiles.new).toMatchObject({ origin: "lab", memoryBytes: 2 ** 30 });
    const bare = '[profile.bare]\nkernel = "k"\ncmdline = "quiet rdinit=/bin/sh"\ninject_agent = false\n';
    expect(load(bare).profiles.bare).toMatchObject({ cmdline: "quiet rdinit=/bin/sh", init: undefined });
  });

  test("a name in both tables is refused with its line", () => {
    const error = failure('[profile.a]\nkernel = "k"\n\n[profiles.a]\nkernel = "k"\n');
    expect(error.message).toBe(
      "invalid config in `/project/provium.toml`: profile `a` stands under both [profile] and [profiles]",
    );
    expect(error.where).toBe("/project/provium.toml:4");
  });

  test("the default profile can be tuned without a kernel of its own", () => {
    expect(load('[profiles.default]\nmemory = "256M"\n').profiles.default).toMatchObject({
      memoryBytes: 256 * 2 ** 20,
      kernel: undefined,
    });
  });

  test("any profile may be the embedded guest under a name of its own", () => {
    expect(load('[profile.minimal]\nkernel = "embedded"\ncpus = 2\n').profiles.minimal).toMatchObject({
      origin: "embedded",
      kernel: undefined,
      cpus: 2,
    });
  });

  test("a blank command line is refused, with file and line", () => {
    const error = failure('[profiles.a]\nkernel = "k"\ncmdline = "  "\n');
    expect(error.message).toBe("invalid config in `/project/provium.toml`: profile `a` has empty cmdline");
    expect(error.where).toBe("/project/provium.toml:3");
  });

  test("an architecture is one of the known ones, and the host's own where none is named", () => {
    expect(load('[profiles.a]\nkernel = "k"\narch = "aarch64"\n').profiles.a?.architecture).toBe("aarch64");
    expect(load('[profiles.a]\nkernel = "k"\n').profiles.a?.architecture).toBe(HOST_ARCHITECTURE);
    expect(failure('[profiles.a]\nkernel = "k"\narch = "arm64"\n').message).toContain(
      '`profiles.a.arch` must be "x86_64" or "aarch64"; it is "arm64"',
    );
  });

  test("a disk image needs no kernel, and is not written unless the profile says so", () => {
    const { a } = load('[profiles.a]\ndisk = "i.qcow2"\n').profiles;
    expect(a).toMatchObject({ origin: "embedded", disk: { path: "/project/i.qcow2", writable: false } });
    expect(load('[profiles.a]\ndisk = "i"\ndisk_writable = true\n').profiles.a?.disk?.writable).toBe(true);
    expect(failure('[profiles.a]\nkernel = "k"\ndisk_writable = true\n').message).toContain(
      "disk_writable without a disk",
    );
  });

  test("a root is the whole host or a directory, and needs no kernel", () => {
    expect(load('[profiles.a]\nroot = "host"\n').profiles.a).toMatchObject({
      origin: "embedded",
      root: { path: "/", kernelInside: false },
    });
    expect(load('[profiles.a]\nroot = "tree"\n').profiles.a?.root).toEqual({
      path: "/project/tree",
      kernelInside: true,
    });
    expect(load('[profiles.a]\nroot = "tree"\nkernel = "embedded"\n').profiles.a?.root?.kernelInside).toBe(
      false,
    );
  });

  test("a root beside a disk or an initrd, or one that virtiofsd cannot be told, is refused", () => {
    const why = (keys: string): string => failure(`[profiles.a]\n${keys}\n`).message;
    expect(why('root = "host"\ndisk = "i"')).toContain("profile `a` has both root and disk");
    expect(why('root = "host"\ninitrd = "i"')).toContain("has a root and an initrd");
    expect(why('root = "a,b"')).toContain("has a comma in its root, which virtiofsd cannot be told");
    expect(why('root = " "')).toContain("has an empty root");
    const foreign = HOST_ARCHITECTURE === "x86_64" ? "aarch64" : "x86_64";
    expect(why(`root = "host"\narch = "${foreign}"`)).toContain(
      `is for ${foreign}, and the programs of this host are not`,
    );
  });

  test("what stands in an inline table, or is missing, is looked for where that should be", () => {
    expect(failure("\nprovium = { jobs = 0 }\n").where).toBe("/project/provium.toml:2");
    expect(load("\nprovium = { jbos = 1 }\n").warnings[0]).toStartWith("/project/provium.toml:2: ");
  });

  test("a profile without kernel is refused", () => {
    const error = failure("\n[profiles.a]\ncpus = 2\n");
    expect(error.message).toContain("profile `a` has no kernel");
    expect(error.where).toBe("/project/provium.toml:2");
  });

  test("a malformed file names line and column", () => {
    const error = failure('[provium]\nroots = ["a"\njobs = 1\n');
    expect(error.message).toStartWith("parse `/project/provium.toml`: ");
    expect(error.message).not.toContain("\n");
    expect(error.where).toMatch(/^\/project\/provium\.toml:3:\d+/);
  });

  test("a value of the wrong type names the key, the value and what is allowed", () => {
    expect(failure('[provium]\njobs = "many"\n').message).toContain(
      '`provium.jobs` must be a whole number of at least 1; it is "many"',
    );
    expect(failure('[provium]\naccel = "warp"\n').message).toContain(
      'must be "auto" or "kvm" or "tcg"; it is "warp"',
    );
    expect(failure("[provium]\nrun_as = 65534\n").message).toContain(
      "`provium.run_as` must be a string; it is 65534",
    );
    expect(failure('[provium]\ntimeout = "5 parsecs"\n').message).toContain(
      '"500ms", "5s", "2m", "1h"; it is "5 parsecs"',
    );
    expect(failure('[provium]\ncache_max_size = "big"\n').message).toContain('it is "big"');
    expect(failure("provium = 3\n").message).toContain("`provium` must be a table; it is 3");
  });

  test("unknown keys are warnings with a suggestion and a line", () => {
    const { warnings } = load(
      '[provium]\nrots = ["a"]\n\n[profiles.a]\nkernel = "k"\nkernal = "x"\n\n[pofiles.b]\n',
    );
    expect(warnings).toEqual([
      '/project/provium.toml:2: unknown key `rots` in [provium] (did you mean "roots"?)',
      '/project/provium.toml:6: unknown key `kernal` in [profiles.a] (did you mean "kernel"?)',
      '/project/provium.toml:8: unknown key `pofiles` at the top level (did you mean "profiles"?)',
    ]);
  });

  test("lines inside multi-line strings are not taken for keys", () => {
    const text = '[profiles.a]\ncmdline = """\nkernel = 1 """\nkernel = 7\n';
    expect(failure(text).where).toBe("/project/provium.toml:4");
  });

  test("a byte order mark in front of the file is no part of it", () => {
    expect(load("\ufeff[provium]\njobs = 3\n").jobs).toBe(3);
    expect(failure("\ufeff[provium]\njobs = 0\n").where).toBe("/project/provium.toml:2");
  });

  test("a reporter that there is not is refused with file and line", () => {
    const error = failure('[provium]\n\nreporters = ["plain", "junitt=x"]\n');
    expect(error.message).toEndWith(
      'provium.reporters: there is no reporter `junitt` (did you mean "junit"?)',
    );
    expect(error.where).toBe("/project/provium.toml:3");
    expect(failure('[provium]\nreporters = ["tap="]\n').message).toContain(
      "`tap=` names no file behind the =",
    );
  });

  test("an init or a module tree without a name is refused", () => {
    for (const key of ["init", "modules"])
      expect(failure(`[profiles.a]\nkernel = "k"\n${key} = " "\n`).message).toContain(
        `profile \`a\` has an empty ${key}`,
      );
  });

  test("PROVIUM_OVERLAY is the overlay of profiles that name none", () => {
    const text = '[profiles.a]\nkernel = "k"\nagent_overlay_path = "own.cpio"\n';
    const { profiles } = parseConfig("/project/provium.toml", text, { PROVIUM_OVERLAY: "/their.cpio" });
    expect(profiles.a?.agentOverlayPath).toBe("/project/own.cpio");
    expect(profiles.default?.agentOverlayPath).toBe("/their.cpio");
    expect(load(text).profiles.default?.agentOverlayPath).toBeUndefined();
  });

  test("else it is the one beside the executable, else that in dist of the project or above", () => {
    const top = mkdtempSync(join(tmpdir(), "provium-test-"));
    const overlay = (directory: string): string => {
      mkdirSync(join(top, directory), { recursive: true });
      const path = join(top, directory, "agent-overlay.cpio.gz");
      writeFileSync(path, "");
      return path;
    };
    const found = (): string | undefined =>
      standingOverlay(join(top, "work/project"), {}, join(top, "usr/bin/provium"));
    try {
      expect(found()).toBeUndefined();
      const above = overlay("dist");
      // A place that cannot be looked into is passed over.
      mkdirSync(join(top, "work/dist"), { recursive: true });
      symlinkSync("agent-overlay.cpio.gz", join(top, "work/dist/agent-overlay.cpio.gz"));
      expect(found()).toBe(above);
      const { profiles } = parseConfig(join(top, "work/project/provium.toml"), "", {});
      expect(profiles.default?.agentOverlayPath).toBe(above);
      const nearer = overlay("work/project/dist");
      expect(found()).toBe(nearer);
      const installed = overlay("usr/share/provium");
      expect(found()).toBe(installed);
      if (process.getuid?.() === 0) {
        chownSync(installed, 4242, 4242);
        expect(found()).toBe(nearer);
      }
    } finally {
      rmSync(top, { recursive: true });
    }
  });

  test("a missing file is fine unless it was named", () => {
    expect(loadConfig(undefined, "/nowhere", [], {}).file).toBeUndefined();
    expect(() => loadConfig("gone.toml", "/nowhere", [], {})).toThrow(
      "read `/nowhere/gone.toml`: ENOENT: no such file or directory",
    );
  });

  test("the working directory's file wins, then the nearest at or above the first path", () => {
    const project = mkdtempSync(join(tmpdir(), "provium-test-"));
    const fileOf = (...paths: string[]) => loadConfig(undefined, project, paths, {}).file;
    try {
      mkdirSync(join(project, "tests/deep"), { recursive: true });
      writeFileSync(join(project, "tests/provium.toml"), "");
      writeFileSync(join(project, "tests/deep/a.test.lua"), "");
      expect(fileOf()).toBeUndefined();
      expect(fileOf("tests")).toBe(join(project, "tests/provium.toml"));
      expect(fileOf("tests/deep/a.test.lua")).toBe(join(project, "tests/provium.toml"));
      writeFileSync(join(project, "provium.toml"), "");
      expect(fileOf("tests")).toBe(join(project, "provium.toml"));
    } finally {
      rmSync(project, { recursive: true });
    }
  });
});
