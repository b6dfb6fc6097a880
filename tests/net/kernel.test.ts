/** The suites of tests/vm/net, which `--network auto` runs on one of the backends, on the kernel's bridge. */

import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostError } from "../../src/errors/errors.ts";
import { openBackend } from "../../src/net/choose.ts";
import { Reactor } from "../../src/sys/reactor.ts";

const SUITES = "tests/vm/net";
/** They have bridges of their own, or much the same on every backend. */
const ELSEWHERE = ["kernel_rules.test.lua", "crowd.test.lua"];
const LONGEST_MS = 1_200_000;

/** Why this host has no bridges of the kernel; undefined where it has. */
const refusal = (): string | undefined => {
  const directory = mkdtempSync(join(tmpdir(), "provium-net-"));
  const reactor = new Reactor();
  try {
    const helper = join(process.cwd(), "build/agent/provium-helper");
    reactor.run(openBackend("kernel", { reactor, env: process.env, helper, directory })).close();
    return undefined;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return error.message;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};

const lacking = refusal();
const suites = readdirSync(SUITES).filter((name) => name.endsWith(".test.lua") && !ELSEWHERE.includes(name));

test(
  `the suites of networks pass on the kernel's bridge${lacking === undefined ? "" : `; not asked: ${lacking}`}`,
  async () => {
    if (lacking !== undefined) return;
    const paths = suites.map((name) => join(SUITES, name));
    const child = Bun.spawn(
      ["dist/provium", "--config", "tests/vm/provium.toml", "--network", "kernel", ...paths],
      { stdout: "inherit", stderr: "inherit" },
    );
    expect(await child.exited).toBe(0);
  },
  LONGEST_MS,
);
