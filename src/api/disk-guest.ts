/** Disks as the guest has them: found by serial number in sysfs, and whether something in the guest uses them. */

import { ApiError, GuestError, TimeoutError } from "../errors/errors.ts";
import { diskSerial } from "../lab/disk-serial.ts";
import type { Actor } from "../lab/ports.ts";
import { after, monotonic, type Op, sleep } from "../sys/op.ts";
import type { VmHandle } from "./handles.ts";

/** How long a guest may take to find a disk that was plugged in: tens of milliseconds, longer when its driver has to be loaded. */
const FIND_MS = 10_000;
const POLL_MS = 5;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (data: Uint8Array): string => new TextDecoder().decode(data).trim();

/** A file of the guest; undefined where there is none. */
function* read(actor: Actor, path: string): Op<string | undefined> {
  try {
    return textOf(yield* actor.readFile(bytes(path)));
  } catch (error) {
    if (error instanceof GuestError) return undefined;
    throw error;
  }
}

/** Names of the entries of a directory; none where there is no such directory. */
function* names(actor: Actor, path: string): Op<readonly string[]> {
  try {
    return (yield* actor.list(bytes(path))).map(({ name }) => textOf(name));
  } catch (error) {
    if (error instanceof GuestError) return [];
    throw error;
  }
}

/** The kernel's name ("vdb") of the disk with that id, if it has one. */
function* lookUp(actor: Actor, id: string): Op<string | undefined> {
  const serial = diskSerial(id);
  for (const name of yield* names(actor, "/sys/block"))
    if (name.startsWith("vd") && (yield* read(actor, `/sys/block/${name}/serial`)) === serial) return name;
  return undefined;
}

/** Waits until the guest has the disk and says by what name. */
export function* findInGuest(self: VmHandle, id: string, call: string): Op<string> {
  const deadline = after(self.vm.emulated ? 4 * FIND_MS : FIND_MS);
  for (;;) {
    const name = yield* self.call(call, (actor) => lookUp(actor, id));
    if (name !== undefined) return name;
    if (monotonic() >= deadline)
      throw new TimeoutError(`${call}: the guest of ${self.vm.label} does not see disk \`${id}\``, {
        hint: "Its kernel needs virtio_blk and PCI hot-plug (acpiphp or shpchp), and /sys must be mounted.",
      });
    yield* sleep(POLL_MS);
  }
}

/** As `findInGuest` after a plug; a guest that shows no block devices at all is not waited for. */
export function* waitInGuest(self: VmHandle, id: string): Op<void> {
  const blind = yield* self.call("attach_disk", function* (actor) {
    return (yield* names(actor, "/sys")).length === 0;
  });
  if (!blind) yield* findInGuest(self, id, "attach_disk");
}

/** Throws ApiError when something in the guest uses the disk or a part of it: a mount, swap, a device on top. */
export function* checkUnused(self: VmHandle, id: string): Op<void> {
  const use = yield* self.call("detach", function* (actor) {
    const name = yield* lookUp(actor, id);
    if (name === undefined) return undefined;
    const parts = (yield* names(actor, `/sys/block/${name}`)).filter((entry) => entry.startsWith(name));
    for (const part of [name, ...parts]) {
      const found = yield* useOf(actor, part === name ? name : `${name}/${part}`, part);
      if (found !== undefined) return found;
    }
    return undefined;
  });
  if (use !== undefined)
    throw new ApiError(`disk:detach: disk \`${id}\` is in use in the guest of ${self.vm.label}: ${use}`, {
      hint: "Let go of it in the guest first, or pull it out with detach{force = true}.",
    });
}

function* useOf(actor: Actor, below: string, device: string): Op<string | undefined> {
  const number = yield* read(actor, `/sys/block/${below}/dev`);
  for (const line of ((yield* read(actor, "/proc/self/mountinfo")) ?? "").split("\n")) {
    // proc(5): id, parent, major:minor, root, mount point, …
    const [, , dev, , where] = line.split(" ");
    if (dev === number && number !== undefined) return `/dev/${device} is mounted at ${where}`;
  }
  for (const line of ((yield* read(actor, "/proc/swaps")) ?? "").split("\n"))
    if (line.startsWith(`/dev/${device} `) || line.startsWith(`/dev/${device}\t`))
      return `/dev/${device} is swap`;
  const [holder] = yield* names(actor, `/sys/block/${below}/holders`);
  return holder === undefined ? undefined : `/dev/${device} is part of /dev/${holder}`;
}
