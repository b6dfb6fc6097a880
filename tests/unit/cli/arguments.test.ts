import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  accelFromEnvironment,
  clampedFlag,
  countFlag,
  durationFlag,
  numberFlag,
  readArguments,
  sizeFlag,
} from "../../../src/cli/arguments.ts";
import { COMMON_FLAGS, CONFIG_FLAGS, RUN_FLAGS } from "../../../src/cli/flags.ts";
import { mainHelp, renderFlags } from "../../../src/cli/help.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { UsageError } from "../../../src/errors/errors.ts";

const FLAGS = { ...RUN_FLAGS, ...CONFIG_FLAGS, ...COMMON_FLAGS };
const read = (...raw: string[]) => readArguments(raw, FLAGS);

const failure = (action: () => unknown): UsageError => {
  try {
    action();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("the command line was accepted");
};

describe("command lines", () => {
  test("flags take their value behind a blank or an equals sign", () => {
    const args = read("tests", "--timeout", "5s", "--vmm=local", "more", "-v");
    expect(args.positionals).toEqual(["tests", "more"]);
    expect(args.text("timeout")).toBe("5s");
    expect(args.text("vmm")).toBe("local");
    expect(args.has("verbose")).toBe(true);
    expect(args.has("quiet")).toBe(false);
  });

  test("repeatable flags keep every value, --no-tag is a flag and no negation", () => {
    const args = read("--tag", "a", "--no-tag", "b", "--tag=c", "--no-tag", "d");
    expect(args.texts("tag")).toEqual(["a", "c"]);
    expect(args.texts("no-tag")).toEqual(["b", "d"]);
    expect(args.positionals).toEqual([]);
  });

  test("short flags may stand together", () => {
    expect(read("-vh").has("verbose")).toBe(true);
    expect(read("-vh").has("help")).toBe(true);
  });

  test("words behind -- are paths, whatever they look like", () => {
    expect(read("-v", "--", "--weird", "-x").rest).toEqual(["--weird", "-x"]);
  });

  test("an unknown flag is refused with a suggestion", () => {
    expect(failure(() => read("--jsn")).message).toBe("unknown flag --jsn");
    expect(failure(() => read("--jsn")).hint).toBe("did you mean --json?");
    expect(failure(() => read("--zzzzzzzz")).hint).toContain("--help");
    expect(failure(() => read("-x")).message).toBe("unknown flag -x");
    expect(failure(() => read("--constructor")).message).toBe("unknown flag --constructor");
  });

  test("a flag without its value and a switch with one are refused", () => {
    expect(failure(() => read("--timeout")).message).toBe("--timeout needs a value");
    const flag = failure(() => read("--filter", "--json"));
    expect(flag.message).toBe("--filter needs a value; `--json` looks like a flag");
    expect(flag.hint).toBe("if it is the value: --filter=--json");
    expect(failure(() => read("--json=yes")).message).toBe("--json takes no value");
  });

  test("an empty value is refused where it means nothing", () => {
    for (const name of ["tag", "since", "timeout", "save-events", "vmm"])
      expect(failure(() => read(`--${name}`, "")).message).toBe(`--${name} needs a value; it is empty`);
    expect(read("--filter=", "--test", "").texts("test")).toEqual([""]);
  });

  test("a choice names what is allowed", () => {
    expect(failure(() => read("--vmm", "xen")).message).toBe("--vmm must be qemu or local; it is `xen`");
  });

  test("durations, sizes and counts are checked where they are read", () => {
    const args = read("--timeout", "2m", "--mem", "2G", "--jobs", "4");
    expect([durationFlag(args, "timeout"), sizeFlag(args, "mem"), countFlag(args, "jobs")]).toEqual([
      120_000,
      2 ** 31,
      4,
    ]);
    expect(failure(() => durationFlag(read("--timeout", "5x"), "timeout")).message).toContain("it is `5x`");
    expect(failure(() => sizeFlag(read("--mem", "lots"), "mem")).message).toContain("it is `lots`");
    for (const bad of ["0", "1.5", "many", "1e3"])
      expect(failure(() => countFlag(read("--jobs", bad), "jobs")).message).toContain(`it is \`${bad}\``);
  });

  test("a number has its limits, or is taken for the nearest one", () => {
    const args = read("--cpu-pressure", "30", "--cpu-overcommit", "16", "--mem-pressure", "101");
    expect(numberFlag(args, "cpu-pressure", 0, 100)).toBe(30);
    expect(failure(() => numberFlag(args, "mem-pressure", 0, 100)).message).toBe(
      "--mem-pressure must be a number from 0 to 100; it is `101`",
    );
    expect(clampedFlag(args, "cpu-overcommit", 0.5, 8)).toBe(8);
    expect(clampedFlag(read("--cpu-overcommit", ".1"), "cpu-overcommit", 0.5, 8)).toBe(0.5);
    expect(failure(() => clampedFlag(read("--cpu-overcommit", "2x"), "cpu-overcommit", 0.5, 8)).message).toBe(
      "--cpu-overcommit must be a number such as 2 or 1.5; it is `2x`",
    );
  });

  test("PROVIUM_ACCEL is checked like the flag", () => {
    expect(accelFromEnvironment({ PROVIUM_ACCEL: "tcg" })).toBe("tcg");
    expect(accelFromEnvironment({})).toBeUndefined();
    expect(failure(() => accelFromEnvironment({ PROVIUM_ACCEL: "warp" })).message).toContain("it is `warp`");
  });
});

describe("help", () => {
  test("every flag stands in the help, and no line is wider than a terminal of 120 columns", () => {
    const help = mainHelp();
    for (const name of Object.keys(FLAGS)) expect(help).toContain(`--${name}`);
    for (const line of help.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
  });

  test("every flag of a run, every key of provium.toml and every variable stands in the manual", async () => {
    const root = join(import.meta.dir, "../../..");
    const manual = await Bun.file(join(root, "docs/cli.md")).text();
    const unsaid = (words: Iterable<string>): string[] => [...words].filter((word) => !manual.includes(word));
    expect(unsaid(Object.keys(RUN_FLAGS).map((name) => `\`--${name}\``))).toEqual([]);

    const odd = '[provium]\n""=1\n[profiles.a]\nkernel="k"\n""=1\n';
    const known = parseConfig("/p/provium.toml", odd, {}).warnings.map(
      (text) => /known: (.*)\)/.exec(text)?.[1],
    );
    const keys = known.join(", ").split(", ");
    expect(keys.length).toBeGreaterThan(30);
    expect(unsaid(keys.filter((key) => key !== "initramfs").map((key) => `\n${key} = `))).toEqual([]);

    const variables = new Set<string>();
    for (const file of new Bun.Glob("src/**/*.ts").scanSync(root))
      for (const [, name] of readFileSync(join(root, file), "utf8").matchAll(
        /\benv\w*\.(PROVIUM_[A-Z0-9_]+)/g,
      ))
        variables.add(`\`${name}\``);
    expect(variables.size).toBeGreaterThan(5);
    expect(unsaid(variables)).toEqual([]);
  });

  test("flags appear under their group only", () => {
    const page = renderFlags({ json: RUN_FLAGS.json });
    expect(page).toStartWith("What is printed:\n      --json");
  });
});

test("a flag that begins with no- is a flag of its own", () => {
  for (const flag of ["no-build", "no-preflight", "no-ksm"]) {
    const args = readArguments([`--${flag}`], RUN_FLAGS);
    expect(args.has(flag)).toBe(true);
    expect(args.has(flag.slice(3))).toBe(false);
  }
});
