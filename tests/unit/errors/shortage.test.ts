import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { HostError, SysError } from "../../../src/errors/errors.ts";
import { isBug, renderError } from "../../../src/errors/render.ts";
import { isShortage } from "../../../src/errors/shortage.ts";

const failed = (code: string, message: string): Error => Object.assign(new Error(message), { code });

test("a host that has run out of something is told as that, with the call that failed and what to do", () => {
  const error = failed("EMFILE", "EMFILE: too many open files, rm '/tmp/x'");
  expect(isBug(error)).toBe(false);
  expect(renderError(error)).toBe(
    [
      "this process may open no more files",
      "  because: EMFILE: too many open files, rm '/tmp/x'",
      "  try: Raise the limit of open files (ulimit -n).",
    ].join("\n"),
  );
});

test("the file system's own error of a full disk is one", () => {
  const told = (): string => {
    try {
      return String(writeFileSync("/dev/full", "x"));
    } catch (error) {
      return renderError(error);
    }
  };
  expect(told()).toMatch(/^no space is left on a disk of this host\n {2}because: ENOSPC: /);
});

test("what no host runs out of stays a bug, and what is explained already stays as it is", () => {
  const bug = failed("ENOENT", "ENOENT: no such file or directory, open '/x'");
  expect(isBug(bug)).toBe(true);
  expect(renderError(bug)).toContain("this is a bug in provium");
  const explained = new HostError("no snapshot can be written", { cause: failed("ENOSPC", "ENOSPC: full") });
  expect(renderError(explained)).toBe("no snapshot can be written\n  because: ENOSPC: full");
});

test("a shortage is known by what led to an error, too", () => {
  const cause = failed("ENOSPC", "ENOSPC: full");
  expect(isShortage(new HostError("no snapshot", { cause: new HostError("no file", { cause }) }))).toBe(true);
  expect(isShortage(new SysError("mmap", 12, "ENOMEM", "Cannot allocate memory"))).toBe(true);
  expect(isShortage(new HostError("the snapshot is damaged"))).toBe(false);
  expect(isShortage(undefined)).toBe(false);
});
