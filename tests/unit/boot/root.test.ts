import { expect, test } from "bun:test";
import { checkRoot, type RootProfile, rootInit, rootWords, treeProtocol } from "../../../src/boot/root.ts";

const profile = (over: Partial<RootProfile> = {}): RootProfile => ({ name: "p", injectAgent: true, ...over });
const host = profile({ root: { path: "/", kernelInside: false } });
const disk = profile({ disk: { path: "/i.img", writable: false } });

/** A kernel with these modules and no others. */
const has =
  (...modules: string[]) =>
  (module: string): boolean =>
    modules.includes(module);
const unknown = (): undefined => undefined;

test("a distribution's init is PID 1 on its disk, the wrapper itself on a tree of the host", () => {
  expect(rootInit(disk)).toBe("/sbin/init");
  expect(rootInit({ ...disk, initrd: "/i" })).toBeUndefined();
  expect(rootInit(host)).toBe("none");
  expect(rootInit(profile())).toBeUndefined();
});

test("the wrapper is told where the root comes from", () => {
  expect(rootWords(disk, undefined)).toEqual(["provium.root=@root"]);
  expect(rootWords(host, "9p")).toEqual(["provium.tree=9p"]);
});

test("virtiofs serves where kernel and host have it, 9p where one of them does not", () => {
  expect(treeProtocol("p", has("overlay", "virtiofs", "9p", "9pnet_virtio"), true)).toBe("virtiofs");
  expect(treeProtocol("p", has("overlay", "virtiofs", "9p", "9pnet_virtio"), false)).toBe("9p");
  expect(treeProtocol("p", has("overlay", "9p", "9pnet_virtio"), true)).toBe("9p");
  expect(treeProtocol("p", unknown, true)).toBe("virtiofs");
  expect(treeProtocol("p", unknown, false)).toBe("9p");
});

test("what a kernel or the host lacks is said before anything boots", () => {
  const refused = (kernel: (module: string) => boolean, virtiofsd: boolean) => () =>
    treeProtocol("p", kernel, virtiofsd);
  expect(refused(has("virtiofs"), true)).toThrow("has no overlayfs (CONFIG_OVERLAY_FS)");
  expect(refused(has("overlay", "9p"), true)).toThrow("has neither virtiofs (CONFIG_VIRTIO_FS) nor 9p");
  expect(refused(has("overlay", "virtiofs"), false)).toThrow(
    "its root needs virtiofsd, which is not installed",
  );
});

test("a root that is no directory, an agent that is not injected and files for the initramfs are refused", () => {
  const at = (path: string): RootProfile => profile({ root: { path, kernelInside: true } });
  expect(() => checkRoot(at("/nosuch"), [])).toThrow("profile `p`: root `/nosuch` is no directory");
  expect(() => checkRoot(at("/proc/version"), [])).toThrow("is no directory");
  expect(() => checkRoot({ ...host, injectAgent: false }, [])).toThrow(
    "inject_agent = false with a root cannot work",
  );
  expect(() => checkRoot({ ...host, init: "/nosuch" }, [])).toThrow("there is no init `/nosuch` in root `/`");
  expect(() => checkRoot({ ...host, init: "/bin/sh" }, [])).not.toThrow();
  expect(() => checkRoot({ ...host, init: "none" }, [])).not.toThrow();
  const file = { path: "/etc/a", content: new Uint8Array() };
  expect(() => checkRoot(host, [file])).toThrow("a root of the profile takes the place of");
  expect(() => checkRoot(host, [])).not.toThrow();
});
