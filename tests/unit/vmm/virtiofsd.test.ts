import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { closeFd } from "../../../src/sys/libc.ts";
import { after, until } from "../../../src/sys/op.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { findVirtiofsd, TreeServer, virtiofsdHint } from "../../../src/vmm/virtiofsd.ts";

const helper = resolve(import.meta.dir, "../../../build/agent/provium-helper");
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "provium-tree-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A program in the place of virtiofsd that says what `script` prints, and `help` when asked for its options. */
const server = (
  script: string,
  help = "",
): { readonly tree: TreeServer; readonly end: () => string | undefined } => {
  const program = join(directory, "virtiofsd");
  writeFileSync(program, `#!/bin/sh\n[ "$1" = --help ] && echo "${help}" && exit\n${script}\n`);
  chmodSync(program, 0o755);
  const reactor = new Reactor();
  const env = { PATH: process.env.PATH, PROVIUM_VIRTIOFSD: program };
  const tree = TreeServer.start("/srv", directory, { env, helper, reactor });
  const end = (): string | undefined => {
    reactor.run(until(() => tree.end !== undefined, after(10_000)));
    return tree.end;
  };
  return { tree, end };
};

test("PROVIUM_VIRTIOFSD names the program, and one that is none is an error", () => {
  expect(findVirtiofsd({ PROVIUM_VIRTIOFSD: "/bin/sh" })).toBe("/bin/sh");
  expect(() => findVirtiofsd({ PROVIUM_VIRTIOFSD: "/nosuch" })).toThrow(
    "PROVIUM_VIRTIOFSD is /nosuch, which is not a program",
  );
});

test("virtiofsd gets the tree and a listening socket, and nothing of the host can be written where it runs", () => {
  const { tree, end } = server(`echo "$*"; test -S /proc/self/fd/3 && echo socket; touch ${directory}/x`);
  const said = end();
  tree.close();
  expect(said).toContain("--fd=3 -o source=/srv -o sandbox=chroot -f\nsocket\n");
  expect(said).toContain("Read-only file system");
});

test("one that would tell the guest of mount points is told not to, and only that", () => {
  for (const [help, said] of [
    ["--no-announce-submounts", "-f --no-announce-submounts"],
    ["--announce-submounts", "-f"],
  ] as const) {
    const { tree, end } = server('echo "$*"', help);
    expect(end()).toMatch(new RegExp(`-o sandbox=chroot ${said}$`));
    tree.close();
  }
});

test("an end is told in the words of virtiofsd", () => {
  const { tree, end } = server("echo no such luck >&2; exit 3");
  expect(end()).toBe("virtiofsd, which serves the root, ended with exit status 3; it said: no such luck");
  tree.close();
});

test("who may not run it is told what to do", () => {
  expect(virtiofsdHint("it said: setgroups() failed with error=1")).toContain("runs for root only");
  expect(virtiofsdHint("it said: no such luck")).toBeUndefined();
});

test("closing ends it, and leaves a connection that was taken to its owner", () => {
  const { tree } = server("exec sleep 1000");
  const fd = tree.take();
  tree.close();
  tree.close();
  expect(tree.end).toContain("signal 9");
  closeFd(fd);
});
