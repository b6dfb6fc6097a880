/**
 * Images that only QEMU's block layer can read (qcow2): its storage daemon serves them to the disk's process, on a
 * socket that it is given. Content is what a guest of QEMU would see, backing files included.
 */

import { accessSync, constants } from "node:fs";
import { dirname, join } from "node:path";
import { HostError } from "../errors/errors.ts";

const NAME = "qemu-storage-daemon";

/** Descriptors that the disk's process gives to the daemon; see image_daemon.c. */
const SOCKET_FD = 3;
const MONITOR_FD = 4;

/** Path of the daemon: in PATH, or beside QEMU. HostError naming the package. */
export const findStorageDaemon = (env: Readonly<Record<string, string | undefined>>): string => {
  const beside = env.PROVIUM_QEMU?.includes("/") ? [dirname(env.PROVIUM_QEMU)] : [];
  for (const directory of [...beside, ...(env.PATH ?? "").split(":")]) {
    const path = join(directory, NAME);
    try {
      if (directory === "") continue;
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  throw new HostError(`a qcow2 image needs ${NAME}, which was not found in PATH`, {
    hint: "install it (Debian, Ubuntu: apt install qemu-system-common; Fedora: dnf install qemu-img), or use a raw image",
  });
};

/** Its command line for one image. Pure. */
export const storageDaemonArguments = (
  program: string,
  image: { readonly path: string; readonly format: string; readonly readonly: boolean },
): string[] => {
  const node = {
    driver: image.format,
    "node-name": "disk",
    "read-only": image.readonly,
    ...(image.readonly ? {} : { discard: "unmap" }),
    file: { driver: "file", filename: image.path },
  };
  return [
    program,
    ...["--blockdev", JSON.stringify(node)],
    ...["--chardev", `socket,id=monitor,fd=${MONITOR_FD}`, "--monitor", "chardev=monitor"],
    ...["--nbd-server", `addr.type=fd,addr.str=${SOCKET_FD}`],
    ...["--export", `nbd,id=disk,node-name=disk,name=disk,writable=${image.readonly ? "off" : "on"}`],
  ];
};

/** Its name, and the option that it speaks of with the whole value, which nobody has typed. */
const PREFIX = /^.*?qemu-storage-daemon: (?:--[a-z-]+ (?:\{.*\}|\S+): )?/;

/** The reason in what it has said. Pure. */
export const daemonReason = (said: string): string => {
  const lines = said.split("\n");
  // Hints of QEMU's stand behind it.
  const line = lines.find((text) => PREFIX.test(text)) ?? (lines.at(-1) as string);
  return line.replace(PREFIX, "");
};
