/** Files of the guest. */

import { permission } from "../lab/options.ts";
import type { FileStat } from "../lab/ports.ts";
import type { Args } from "../lua/args.ts";
import type { LuaTable } from "../lua/table.ts";
import { luaFloat } from "../lua/values.ts";
import { unwrapped } from "./arguments.ts";
import { checkHostFile } from "./context.ts";
import { type GuestMethods, guestMethod, guestPath } from "./handles.ts";

/** Permission bits under `perm` of an options table. */
export const permOption = (opts: LuaTable | undefined, what: string): number | undefined => {
  const perm = opts?.get("perm");
  return perm === undefined ? undefined : permission(unwrapped(perm), `${what}.perm`);
};

/** `(path, data, {perm})`. */
export const writeRequest = (args: Args) => {
  const path = guestPath(args.bytes(1, "path"), "write_file");
  const data = args.bytes(2, "data");
  const opts = args.optTable(3, "write_file: opts");
  opts?.only(["perm"]);
  return { path, data, perm: permOption(opts, "write_file: opts") };
};

/** `(path, {follow})`. */
export const statRequest = (args: Args) => {
  const path = guestPath(args.bytes(1, "path"), "stat");
  const opts = args.optTable(2, "stat: opts");
  opts?.only(["follow"]);
  return { path, follow: opts?.optBoolean("follow") ?? true };
};

/** `(path, {parents, perm})`. */
export const mkdirRequest = (args: Args) => {
  const path = guestPath(args.bytes(1, "path"), "mkdir");
  const opts = args.optTable(2, "mkdir: opts");
  opts?.only(["parents", "perm"]);
  return { path, parents: opts?.optBoolean("parents") ?? false, perm: permOption(opts, "mkdir: opts") };
};

export const statTable = (stat: FileStat): Record<string, unknown> => ({
  size: stat.size,
  mtime: luaFloat(Number(stat.mtimeNs) / 1e9),
  mtime_ns: stat.mtimeNs,
  perm: stat.perm,
  entry_type: stat.type,
  uid: stat.uid,
  gid: stat.gid,
  ino: stat.ino,
  nlink: stat.nlink,
});

type Entries = readonly { readonly name: Uint8Array; readonly type: string }[];

/** Entries by name, so that listings can be compared. */
export const listing = (entries: Entries): Record<string, unknown>[] =>
  entries
    .toSorted((a, b) => Buffer.compare(a.name, b.name))
    .map(({ name, type }) => ({ name, entry_type: type }));

export const FILE_METHODS: GuestMethods = {
  read_file: guestMethod(
    "(path: string): string",
    "The whole content of a file. A missing or unreadable file raises.",
    function* (self, args) {
      const path = guestPath(args.bytes(1, "path"), "read_file");
      return yield* self.call("read_file", (actor) => actor.readFile(path));
    },
  ),
  write_file: guestMethod(
    "(path: string, data: string, opts?: {perm?})",
    'Creates or replaces a file. `perm` (493 or "0755") sets its permission bits exactly.',
    function* (self, args) {
      const { path, data, perm } = writeRequest(args);
      yield* self.call("write_file", (actor) => actor.writeFile(path, data, perm));
    },
  ),
  push_file: guestMethod(
    "(host: string, guest: string, opts?: {perm?, auto_dep?})",
    "Copies a host file into the guest. A relative host path starts at the calling Lua file.",
    function* (self, args) {
      const host = self.api.hostPath(args.text(1, "host"), "lab");
      const path = guestPath(args.bytes(2, "guest"), "push_file");
      const opts = args.optTable(3, "push_file: opts");
      opts?.only(["perm", "auto_dep"]);
      if (opts?.optBoolean("auto_dep") !== false) self.api.recorder?.reads(host);
      const perm = permOption(opts, "push_file: opts");
      checkHostFile(host, "push_file");
      yield* self.call("push_file", (actor) => actor.pushFile(host, path, perm));
    },
  ),
  stat: guestMethod(
    "(path: string, opts?: {follow?: boolean}): {size, mtime, mtime_ns, perm, entry_type, uid, gid, ino, nlink}",
    "What stat(2) says. Symbolic links are followed unless `follow` is false.",
    function* (self, args) {
      const { path, follow } = statRequest(args);
      return statTable(yield* self.call("stat", (actor) => actor.stat(path, follow)));
    },
  ),
  listdir: guestMethod(
    "(path: string): {name: string, entry_type: string}[]",
    "The entries of a directory, sorted by name.",
    function* (self, args) {
      const path = guestPath(args.bytes(1, "path"), "listdir");
      return listing(yield* self.call("listdir", (actor) => actor.list(path)));
    },
  ),
  mkdir: guestMethod(
    "(path: string, opts?: {parents?: boolean, perm?})",
    "Makes a directory; with `parents` also those above it, and an existing one is no error.",
    function* (self, args) {
      const { path, parents, perm } = mkdirRequest(args);
      yield* self.call("mkdir", (actor) => actor.mkdir(path, parents, perm));
    },
  ),
  unlink: guestMethod("(path: string)", "Removes a file or an empty directory.", function* (self, args) {
    const path = guestPath(args.bytes(1, "path"), "unlink");
    yield* self.call("unlink", (actor) => actor.unlink(path));
  }),
  rename: guestMethod(
    "(from: string, to: string)",
    "Renames atomically, as rename(2) does.",
    function* (self, args) {
      const from = guestPath(args.bytes(1, "from"), "rename");
      const to = guestPath(args.bytes(2, "to"), "rename");
      yield* self.call("rename", (actor) => actor.rename(from, to));
    },
  ),
};
