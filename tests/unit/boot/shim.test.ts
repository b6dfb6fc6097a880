import { describe, expect, test } from "bun:test";
import { guestName, shimEntries } from "../../../src/boot/shim.ts";
import { ApiError } from "../../../src/errors/errors.ts";

const data = Buffer.from("x");
const programs = { agent: Buffer.from("agent"), wrapper: Buffer.from("wrapper") };
const nothing = (): boolean => false;
const names = (files: readonly string[], known: (path: string) => boolean = nothing): string[] =>
  shimEntries({ modules: [], files: files.map((path) => ({ path, data, mode: 0o640 })) }, known).map(
    (entry) => (entry.type === "directory" ? `${entry.name}/` : entry.name),
  );

describe("the shim", () => {
  test("holds agent, wrapper and modules with their order, each after its directories", () => {
    const modules = [
      { file: "virtio_ring.ko", data },
      { file: "virtio.ko", data },
    ];
    const entries = shimEntries({ programs, modules, files: [] }, nothing);
    expect(entries.map((entry) => entry.name)).toEqual([
      "provium",
      "provium/modules",
      "provium/modules/order",
      "provium/modules/virtio.ko",
      "provium/modules/virtio_ring.ko",
      "sbin",
      "sbin/provium-agent",
      "sbin/provium-wrapper",
    ]);
    const order = entries.find((entry) => entry.name.endsWith("/order"));
    expect(order?.type === "file" && Buffer.from(order.data).toString()).toBe("virtio_ring.ko\nvirtio.ko\n");
    expect(entries.find((entry) => entry.name === "sbin/provium-agent")?.mode).toBe(0o755);
  });

  test("makes every missing directory of an injected file, once", () => {
    expect(names(["/a/b/c", "/a/b/d"])).toEqual(["a/", "a/b/", "a/b/c", "a/b/d"]);
  });

  test("leaves out directories that the user's initramfs has, since they may be links", () => {
    expect(names(["/sbin/tool"], (path) => path === "sbin")).toEqual(["sbin/tool"]);
  });

  test("makes /tmp writable for all and /root for root alone", () => {
    const entries = shimEntries(
      { modules: [], files: ["/tmp/f", "/root/f"].map((path) => ({ path, data, mode: 0o644 })) },
      nothing,
    );
    expect(
      entries.filter((entry) => entry.type === "directory").map(({ name, mode }) => [name, mode]),
    ).toEqual([
      ["root", 0o700],
      ["tmp", 0o1777],
    ]);
  });

  test("writes a path in its shortest form", () => {
    expect(guestName("//etc/./app.conf")).toBe("etc/app.conf");
  });

  test.each([
    ["etc/app", "is not absolute"],
    ["/etc/../app", "contains `..`"],
    ["/etc/\0app", "NUL"],
    ["/etc/", "names a directory"],
    ["/", "names a directory"],
    ["/etc/.", "names a directory"],
    ["/sbin/provium-agent", "belongs to the harness"],
    ["/./provium/modules/order", "belongs to the harness"],
    ["/TRAILER!!!", "reserved"],
    [`/${"n".repeat(256)}`, "longer than 255"],
  ])("refuses the guest path %p", (path, why) => {
    expect(() => guestName(path)).toThrow(ApiError);
    expect(() => guestName(path)).toThrow(why);
  });

  test("refuses a file below a file", () => {
    expect(() => names(["/a", "/a/b"])).toThrow("`/a` is given as a file");
  });
});
