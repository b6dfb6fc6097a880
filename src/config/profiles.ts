/** Profiles: the kinds of guest that a project declares, and the one that the executable embeds. */

import { join, resolve } from "node:path";
import { ARCHITECTURES, HOST_ARCHITECTURE } from "../sys/architecture.ts";
import type { Section } from "./document.ts";
import { readRoot } from "./root-tree.ts";
import type { Profile, ProfileBuild } from "./schema.ts";

/** What a profile gets that says nothing about its command line. */
export const DEFAULT_CMDLINE = "quiet panic=-1";
/** `kernel = "embedded"` names the guest that the executable carries. */
const EMBEDDED = "embedded";
const DEFAULT_MEMORY = 512 * 2 ** 20;

/** The guest that is in the executable: exists always, unless a project declares a `default` of its own. */
export const embeddedProfile = (): Profile => ({
  name: "default",
  origin: "embedded",
  architecture: HOST_ARCHITECTURE,
  cmdline: DEFAULT_CMDLINE,
  modules: "auto",
  injectAgent: true,
  mountPseudoFs: true,
  guestOs: "linux",
  memoryBytes: DEFAULT_MEMORY,
  cpus: 1,
  qemuArgs: [],
});

/** `rdinit=X` of a classic command line names the program to become PID 1; ours starts first and executes it. */
const takeRdinit = (cmdline: string): { cmdline: string; init: string | undefined } => {
  const kept: string[] = [];
  let init: string | undefined;
  for (const word of cmdline.split(/\s+/)) {
    if (word.startsWith("rdinit=")) init = word.slice("rdinit=".length);
    else if (word !== "") kept.push(word);
  }
  return init === undefined ? { cmdline, init } : { cmdline: kept.join(" "), init };
};

/** `build = "make O={out}"`: the command, and the directory that `{out}` stands for. */
const readBuild = (name: string, section: Section, directory: string): ProfileBuild | undefined => {
  const command = section.text("build");
  const out = section.text("build_out");
  if (command === undefined && out !== undefined)
    throw section.invalid("build_out", `profile \`${name}\` has build_out and no build`);
  if (command === undefined) return undefined;
  if (command.trim() === "") throw section.invalid("build", `profile \`${name}\` has an empty build`);
  return { command, directory, out: resolve(directory, out ?? join(BUILD_DIRECTORY, name)) };
};

/** Where builds go that do not say. */
const BUILD_DIRECTORY = ".provium";

export const readProfile = (
  name: string,
  origin: "classic" | "lab",
  section: Section,
  directory: string,
): Profile => {
  const build = readBuild(name, section, directory);
  const place = (value: string): string =>
    resolve(directory, value.replaceAll("{out}", build?.out ?? "{out}"));
  const filled = (key: string): string | undefined => {
    const value = section.text(key);
    if (value?.trim() === "") throw section.invalid(key, `profile \`${name}\` has an empty ${key}`);
    return value;
  };
  const path = (key: string): string | undefined => {
    const value = filled(key);
    return value === undefined ? undefined : place(value);
  };
  // A project may tune the embedded guest (memory, cmdline, …) under its own name or another.
  const named = section.text("kernel");
  const disk = path("disk");
  const architecture = section.oneOf("arch", ARCHITECTURES) ?? HOST_ARCHITECTURE;
  const root = readRoot(name, section, architecture, place);
  // A root boots with the embedded kernel where none is named.
  const embedded =
    named === EMBEDDED ||
    (named === undefined && (name === "default" || disk !== undefined || root !== undefined));
  const kernel = embedded ? undefined : path("kernel");
  const initrd = path("initrd");
  const initramfs = path("initramfs");
  if (initrd !== undefined && initramfs !== undefined)
    throw section.invalid(
      "initramfs",
      `profile \`${name}\` has both initrd and initramfs, which mean the same`,
    );
  const written = section.text("cmdline");
  if (written?.trim() === "") throw section.invalid("cmdline", `profile \`${name}\` has empty cmdline`);
  const cmdlineFile = path("cmdline_file");
  if (written !== undefined && cmdlineFile !== undefined)
    throw section.invalid("cmdline_file", `profile \`${name}\` has both cmdline and cmdline_file`);
  const cmdline = written ?? DEFAULT_CMDLINE;
  const injectAgent = section.boolean("inject_agent") ?? true;
  // Without ours in front of it the kernel executes it itself.
  const { cmdline: words, init } =
    origin === "classic" && injectAgent ? takeRdinit(cmdline) : { cmdline, init: undefined };
  const modules = filled("modules") ?? "auto";
  const memoryBytes = section.size("memory") ?? DEFAULT_MEMORY;
  if (memoryBytes < 2 ** 20)
    throw section.invalid("memory", `profile \`${name}\` has less than 1 MiB of memory`);
  const writable = section.boolean("disk_writable");
  if (writable !== undefined && disk === undefined)
    throw section.invalid("disk_writable", `profile \`${name}\` has disk_writable without a disk`);
  const profile: Profile = {
    name,
    origin: embedded ? "embedded" : origin,
    architecture,
    kernel,
    initrd: initrd ?? initramfs,
    disk: disk === undefined ? undefined : { path: disk, writable: writable ?? false },
    root,
    cmdline: words,
    init: filled("init") ?? init,
    modules: modules === "auto" || modules === "none" ? modules : place(modules),
    injectAgent,
    agentOverlayPath: path("agent_overlay_path"),
    mountPseudoFs: section.boolean("mount_pseudo_fs") ?? true,
    guestOs: section.text("guest_os") ?? "linux",
    memoryBytes,
    cpus: section.count("cpus", 1) ?? 1,
    qemuArgs: section.texts("qemu_args") ?? [],
    ...(cmdlineFile === undefined ? {} : { cmdlineFile }),
    ...(build === undefined ? {} : { build }),
  };
  section.finish();
  if (kernel === undefined && !embedded)
    throw section.invalid(
      "kernel",
      `profile \`${name}\` has no kernel`,
      `set \`kernel\` to a bzImage or vmlinux (aarch64: Image), or to "${EMBEDDED}" for the guest in the executable`,
    );
  return profile;
};

/** `[profiles] from_dir = "profiles"`: no profile, but a place of more of them (`profile-directory.ts`). */
export const FROM_DIRECTORY = "from_dir";

/** Whether `from_dir` is meant so; as a table it is a profile of that name. */
export const namesDirectory = (profiles: Section): boolean => {
  const value = profiles.peek(FROM_DIRECTORY);
  return value !== undefined && (typeof value !== "object" || Array.isArray(value));
};

/** Profiles of both tables plus `default`. The same name in both tables is an error. */
export const readProfiles = (root: Section, directory: string): Readonly<Record<string, Profile>> => {
  const profiles: Record<string, Profile> = Object.create(null);
  profiles.default = embeddedProfile();
  const classic = root.section("profile");
  const lab = root.section("profiles");
  for (const name of classic.keys)
    profiles[name] = readProfile(name, "classic", classic.section(name), directory);
  for (const name of lab.keys) {
    if (name === FROM_DIRECTORY && namesDirectory(lab)) continue;
    if (classic.has(name))
      throw lab.invalid(
        name,
        `profile \`${name}\` stands under both [profile] and [profiles]`,
        "keep one of the two",
      );
    profiles[name] = readProfile(name, "lab", lab.section(name), directory);
  }
  return { ...profiles };
};
