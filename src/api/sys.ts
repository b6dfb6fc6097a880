/**
 * System calls by name: `provium.sys`, whose fields are checked names, and what a guest says about its own numbers.
 * A name becomes a number only where the guest is known, so one file serves guests of any architecture.
 */

import { checkedSyscall, syscallNames, syscallNumber } from "../guest/syscalls.ts";
import { defineClass } from "../lua/native.ts";
import { results } from "../lua/values.ts";
import type { Op } from "../sys/op.ts";
import type { Api } from "./context.ts";
import { type GuestHandle, type GuestMethods, guestMethod } from "./handles.ts";

export class Sys {
  constructor(readonly api: Api) {}
}

export const SYS_DOC =
  'Names of system calls: `provium.sys.openat` is `"openat"`, and raises for a name that no architecture has. A system call takes a name and finds the number of the guest\'s architecture. `pairs(provium.sys)` goes through all names.';

defineClass<Sys>({
  name: "provium.sys",
  of: Sys,
  doc: SYS_DOC,
  methods: {},
  get: (_self, key) => checkedSyscall(key),
  text: () => "provium.sys",
  meta: {
    __pairs: (self) =>
      results(
        self.api.state.global("next"),
        new Map(syscallNames().map((name) => [name, name] as const)),
        undefined,
      ),
  },
});

/** What uname(2) calls the guest's architecture. */
const machineOf = (self: GuestHandle, call: string): Op<string> =>
  // biome-ignore lint/correctness/useYield: READY has told it already
  self.vm.call(call, function* (guest) {
    return guest.identity.arch;
  });

export const ARCH_METHODS: GuestMethods = {
  arch: guestMethod(
    "(): string",
    'The guest\'s architecture, as `uname -m` says it: `"x86_64"`, `"aarch64"`.',
    (self) => machineOf(self, "arch"),
  ),
  syscall_number: guestMethod(
    "(name: string): integer",
    "The number that a system call has in this guest, as seccomp filters and traces want it.",
    function* (self, args) {
      const name = checkedSyscall(args.text(1, "name"));
      return syscallNumber(name, yield* machineOf(self, "syscall_number"));
    },
  ),
};
