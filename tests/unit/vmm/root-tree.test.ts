import { expect, test } from "bun:test";
import { rootTreeArguments } from "../../../src/vmm/root-tree.ts";

test("QEMU itself serves a tree over 9p, and only to be read", () => {
  const args = rootTreeArguments({ path: "/a,b", protocol: "9p" }, undefined);
  expect(args[1]).toBe("local,id=tree,path=/a,,b,security_model=none,readonly=on,multidevs=remap");
});

test("over virtiofs it is handed the connection to the server", () => {
  const args = rootTreeArguments({ path: "/", protocol: "virtiofs" }, 9);
  expect(args).toContain("socket,id=tree,fd=9");
  expect(args.join(" ")).not.toContain("fsdev");
});
