/** Calls into the kernel, one at a time. */

import { type GuestMethods, guestMethod } from "./handles.ts";
import { IOCTL_FORMS } from "./ioctl.ts";
import type { CallForm } from "./kernel-call.ts";
import { SYSCALL_FORMS } from "./syscall.ts";

export const KERNEL_FORMS: Readonly<Record<string, CallForm>> = { ...SYSCALL_FORMS, ...IOCTL_FORMS };

export const KERNEL_METHODS: GuestMethods = Object.fromEntries(
  Object.entries(KERNEL_FORMS).map(([name, { signature, doc, read }]) => [
    name,
    guestMethod(signature, doc, function* (self, args) {
      const { op } = read(args, self.flavour);
      return yield* self.call(name, op);
    }),
  ]),
);
