import { describe, expect, test } from "bun:test";
import { loadOrder, moduleIndex, moduleName, wantedModules } from "../../../src/boot/modules.ts";

const DEP = `kernel/drivers/virtio/virtio_ring.ko.xz:
kernel/drivers/virtio/virtio.ko.xz:
kernel/drivers/virtio/virtio_pci_modern_dev.ko.xz:
kernel/drivers/virtio/virtio_pci.ko.xz: kernel/drivers/virtio/virtio_pci_modern_dev.ko.xz kernel/drivers/virtio/virtio.ko.xz kernel/drivers/virtio/virtio_ring.ko.xz
kernel/drivers/char/virtio_console.ko.xz: kernel/drivers/virtio/virtio.ko.xz kernel/drivers/virtio/virtio_ring.ko.xz
kernel/drivers/char/hw_random/virtio-rng.ko.xz: kernel/drivers/virtio/virtio.ko.xz kernel/drivers/virtio/virtio_ring.ko.xz
kernel/a.ko: kernel/b.ko
kernel/b.ko: kernel/a.ko
`;
const index = moduleIndex(DEP, "kernel/drivers/block/virtio_blk.ko\n");
const names = (paths: readonly string[]): string[] => paths.map(moduleName);

describe("module order", () => {
  test("a module comes after everything that it needs, and nothing comes twice", () => {
    const { paths, missing } = loadOrder(index, ["virtio_pci", "virtio_console"]);
    const order = names(paths);
    expect(new Set(order).size).toBe(order.length);
    expect(order.indexOf("virtio")).toBeLessThan(order.indexOf("virtio_pci"));
    expect(order.indexOf("virtio_ring")).toBeLessThan(order.indexOf("virtio_console"));
    expect(order).toContain("virtio_pci_modern_dev");
    expect(missing).toEqual([]);
  });

  test("virtio_ring is loaded before virtio, on which modules.dep is silent", () => {
    const order = names(
      loadOrder(
        index,
        wantedModules({ architecture: "x86_64", transport: "serial", disks: false, guestLoads: true }),
      ).paths,
    );
    expect(order.slice(0, 2)).toEqual(["virtio_ring", "virtio"]);
  });

  test("a root from the host needs its file system and overlayfs", () => {
    const needs = { architecture: "x86_64", transport: "serial", disks: false, guestLoads: false } as const;
    expect(wantedModules({ ...needs, root: "virtiofs" })).toEqual(
      expect.arrayContaining(["virtiofs", "overlay"]),
    );
    expect(wantedModules({ ...needs, root: "9p" })).toEqual(
      expect.arrayContaining(["9pnet_virtio", "9p", "overlay"]),
    );
  });

  test("dash and underscore are one letter, as for the kernel", () => {
    expect(names(loadOrder(index, ["virtio_rng"]).paths)).toContain("virtio_rng");
    expect(names(loadOrder(index, ["virtio-rng"]).paths)).toContain("virtio_rng");
  });

  test("what is built in is not loaded and not missed; what does not exist is told", () => {
    expect(loadOrder(index, ["virtio_blk", "nosuch"])).toEqual({ paths: [], missing: ["nosuch"] });
  });

  test("a circle of dependencies ends", () => {
    expect(names(loadOrder(index, ["a"]).paths).sort()).toEqual(["a", "b"]);
  });

  test("the vsock driver is shipped for the vsock channel only", () => {
    const vsock = "vmw_vsock_virtio_transport";
    expect(
      wantedModules({ architecture: "x86_64", transport: "vsock", disks: false, guestLoads: true }),
    ).toContain(vsock);
    expect(
      wantedModules({ architecture: "x86_64", transport: "serial", disks: false, guestLoads: true }),
    ).not.toContain(vsock);
  });

  test("the disk driver is shipped to a guest that loads it by itself only where disks are there from the start", () => {
    expect(
      wantedModules({ architecture: "x86_64", transport: "serial", disks: true, guestLoads: true }),
    ).toContain("virtio_blk");
    expect(
      wantedModules({ architecture: "x86_64", transport: "serial", disks: false, guestLoads: true }),
    ).not.toContain("virtio_blk");
    expect(
      wantedModules({ architecture: "x86_64", transport: "serial", disks: false, guestLoads: false }),
    ).toContain("virtio_blk");
  });

  test("a guest that loads nothing by itself gets the network driver as well", () => {
    expect(
      wantedModules({ architecture: "x86_64", transport: "serial", disks: false, guestLoads: false }),
    ).toContain("virtio_net");
  });
});
