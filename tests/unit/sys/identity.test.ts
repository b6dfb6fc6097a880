import { expect, test } from "bun:test";
import { HostError } from "../../../src/errors/errors.ts";
import { identityOf, identityText } from "../../../src/sys/identity.ts";

const hintOf = (name: string, self: number): string | undefined => {
  try {
    identityOf(name, self);
  } catch (error) {
    return (error as HostError).hint;
  }
  throw new Error("it was accepted");
};

test("a user has a number, its own group first, and the groups it is in", () => {
  const nobody = identityOf("nobody", 0);
  expect(nobody.uid).toBe(65534);
  expect(identityText(nobody)).toBe(`65534:${nobody.groups.join(",")}`);
  expect(nobody.groups.length).toBeGreaterThan(0);
  expect(identityText({ name: "x", uid: 7, groups: [8, 9] })).toBe("7:8,9");
});

test("without root there is nobody else to be", () => {
  expect(() => identityOf("nobody", 1000)).toThrow(HostError);
  expect(() => identityOf("nobody", 1000)).toThrow(
    "run_as: QEMU cannot be started as `nobody`: only root can start a program as another user, and this is user 1000",
  );
  expect(hintOf("nobody", 1000)).toContain("QEMU then runs as you");
});

test("users that there are not are told by name, options are no users", () => {
  for (const name of ["nobdy", "", "-u", "--help", "no body"]) {
    expect(() => identityOf(name, 0)).toThrow(`\`${name}\`: this host has no such user`);
    expect(hintOf(name, 0)).toContain("`nobody`");
  }
});

test("root is not another user", () => {
  expect(() => identityOf("root", 0)).toThrow("that is root, whom it already runs as");
  expect(() => identityOf("0", 0)).toThrow("that is root");
});
