/**
 * What a snapshot says about itself: `manifest.json` in its directory, written last. Pure.
 *
 * The text carries a checksum of its own, so what is read is what was written; and it names the checksums of the
 * files beside it.
 */

import { ApiError, HostError } from "../errors/errors.ts";
import { isCount, isFileName, isListOf, isTable, isText } from "./believable.ts";
import { isSavedNic, type SavedNic } from "./link.ts";
import type { GuestIdentity, LaunchSpec, MachineImage, SessionMark } from "./ports.ts";
import { isSavedDisk, type SavedDisk } from "./saved-disk.ts";

export const MANIFEST = "manifest.json";
/** Grows when an older provium could not read it. */
const FORMAT = 1;

/** The machine as it was launched; another one of the same kind is started to go on. */
export type SavedLaunch = Omit<LaunchSpec, "name" | "directory" | "saved" | "nics" | "disks">;

export interface Manifest {
  readonly vm: string;
  readonly profile: string;
  readonly launch: SavedLaunch;
  /** vsock context ID that the guest had; on the serial channel none. A restored one gets a new one. */
  readonly cid?: number | undefined;
  readonly image: MachineImage;
  readonly guest: GuestIdentity;
  readonly session: SessionMark;
  /** Its network interfaces. */
  readonly nics: readonly SavedNic[];
  readonly disks: readonly SavedDisk[];
}

const INTEGER = "$integer";

const checksum = (text: string): string => Bun.hash.xxHash3(text).toString(16).padStart(16, "0");

/** The text of the file. */
export const writeManifest = (manifest: Manifest): string => {
  const body = JSON.stringify(
    manifest,
    (_key, value: unknown) => (typeof value === "bigint" ? { [INTEGER]: String(value) } : value),
    2,
  );
  return `{"provium_snapshot": ${FORMAT}, "checksum": "${checksum(body)}", "content":\n${body}\n}\n`;
};

const HEAD = /^\{"provium_snapshot": (\d+), "checksum": "([0-9a-f]{16})", "content":\n/;

/** Whether what a machine is started with is of the right kind. */
const isManifest = (value: unknown): value is Manifest => {
  if (!isTable(value) || !isTable(value.launch) || !isTable(value.image)) return false;
  const { launch, image } = value;
  const texts = [value.vm, value.profile, launch.accel, launch.transport, launch.cmdline, image.qemu];
  return (
    texts.every(isText) &&
    [launch.memoryBytes, launch.cpus, image.entropyRead].every(isCount) &&
    isListOf(launch.qemuArgs, isText) &&
    isListOf(image.files, (file) => isTable(file) && isFileName(file.name)) &&
    isTable(value.guest) &&
    isTable(value.session) &&
    isListOf(value.nics, isSavedNic) &&
    isListOf(value.disks, isSavedDisk)
  );
};

const parsed = (body: string): unknown => {
  try {
    return JSON.parse(body, (_key, value: unknown) =>
      isTable(value) && Object.hasOwn(value, INTEGER) ? BigInt(value[INTEGER] as string) : value,
    );
  } catch {
    return undefined;
  }
};

/** Reads it back. HostError naming `path` when it was cut off or altered, or is of another format. */
export const readManifest = (text: string, path: string): Manifest => {
  const head = HEAD.exec(text);
  if (head === null) throw new HostError(`${path} is no manifest of a snapshot`);
  if (Number(head[1]) !== FORMAT)
    throw new HostError(`the snapshot's ${path} has format ${head[1]}, and this provium reads ${FORMAT}`, {
      hint: "take the snapshot anew",
    });
  const body = text.slice(head[0].length, -"\n}\n".length);
  if (!text.endsWith("\n}\n") || checksum(body) !== head[2])
    throw new HostError(`the snapshot's ${path} was cut off or altered: its checksum does not fit`, {
      hint: "take the snapshot anew",
    });
  const manifest = parsed(body);
  if (!isManifest(manifest))
    throw new HostError(`the snapshot's ${path} does not say what a snapshot says`, {
      hint: "take the snapshot anew",
    });
  return manifest;
};

/** What a VM that is to go on from a snapshot has been told, and where it runs. */
export interface Expectation {
  readonly vm: string;
  readonly memoryBytes?: number | undefined;
  readonly cpus?: number | undefined;
  readonly accel: "kvm" | "tcg";
  readonly transport: "vsock" | "serial" | "local";
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** Throws unless a machine of this host can go on from the snapshot at `path`: the first difference by name. */
export const checkManifest = (manifest: Manifest, expected: Expectation, path: string): void => {
  const { launch } = manifest;
  const differ = (what: string, saved: string, wanted: string, hint?: string): never => {
    throw new ApiError(`snapshot ${path} has ${what} ${saved}, and vm \`${expected.vm}\` ${wanted}`, {
      ...(hint === undefined ? {} : { hint }),
    });
  };
  if (expected.memoryBytes !== undefined && mebibytes(expected.memoryBytes) !== mebibytes(launch.memoryBytes))
    differ("memory of", mebibytes(launch.memoryBytes), `is declared with ${mebibytes(expected.memoryBytes)}`);
  if (expected.cpus !== undefined && expected.cpus !== launch.cpus)
    differ("CPUs:", String(launch.cpus), `is declared with ${expected.cpus}`);
  if (expected.accel !== launch.accel)
    differ(
      "acceleration",
      launch.accel,
      `runs with ${expected.accel}`,
      "take the snapshot anew on this host",
    );
  if (expected.transport !== launch.transport)
    differ("transport", launch.transport, `uses ${expected.transport}`, "see --transport");
};
