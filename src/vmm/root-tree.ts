/**
 * A tree of this host as a guest's root. The guest only reads it, and lays what it writes over it in its memory
 * (agent/guest/roottree.c). With 9p it is QEMU that opens the files, with virtiofs it is virtiofsd.
 */

import type { RootTree } from "../lab/ports.ts";

/** Known to agent/guest/roottree.c. */
const TAG = "provium-root";
const ADDRESS = "bus=pcie.0,addr=0x7";

const escaped = (value: string): string => value.replaceAll(",", ",,");

/** QEMU's arguments. `server`: the descriptor of the connection to virtiofsd, with virtiofs only. */
export const rootTreeArguments = ({ path, protocol }: RootTree, server: number | undefined): string[] =>
  protocol === "virtiofs"
    ? [
        ...["-chardev", `socket,id=tree,fd=${server}`],
        ...["-device", `vhost-user-fs-pci,chardev=tree,tag=${TAG},${ADDRESS}`],
      ]
    : [
        // `remap`: file systems below the tree have inodes with equal numbers.
        "-fsdev",
        `local,id=tree,path=${escaped(path)},security_model=none,readonly=on,multidevs=remap`,
        ...["-device", `virtio-9p-pci,fsdev=tree,mount_tag=${TAG},disable-legacy=on,${ADDRESS}`],
      ];
