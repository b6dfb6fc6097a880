import { expect, test } from "bun:test";
import { daemonReason } from "../../../src/disk/storage-daemon.ts";

test.each([
  [
    'qemu-storage-daemon: --blockdev {"driver":"qcow2","file":{"driver":"file","filename":"a"}}: Failed to get "write" lock\nIs another process using the image [a]?',
    'Failed to get "write" lock',
  ],
  ["/usr/bin/qemu-storage-daemon: --export nbd,id=disk: no such node", "no such node"],
  ["qemu-storage-daemon: out of memory", "out of memory"],
  ["something\nwithout its name", "without its name"],
])("the reason in %j is %j", (said, reason) => {
  expect(daemonReason(said)).toBe(reason);
});
