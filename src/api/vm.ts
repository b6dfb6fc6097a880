/** The Lua object `vm`: its methods, gathered from their files. */

import { defineClass } from "../lua/native.ts";
import { Batch } from "./batch.ts";
import { Clock } from "./clock.ts";
import { Console } from "./console.ts";
import { VmHandle, type VmMethods, vmMethod } from "./handles.ts";
import { JOB_METHODS } from "./jobs.ts";
import { SYSCALL_METHODS } from "./syscall.ts";
import { COMMAND_METHODS } from "./vm-command.ts";
import { FILE_METHODS } from "./vm-file.ts";
import { LIFE_METHODS } from "./vm-life.ts";

const OBJECT_METHODS: VmMethods = {
  clock: vmMethod("(): Clock", "The guest's wall clock.", (self) => new Clock(self)),
  console: vmMethod("(): Console", "The guest's console.", (self) => new Console(self)),
  batch: vmMethod(
    "(fn: function): {ok?: any, err?: string}[]",
    "Calls `fn(q)`, which queues operations on `q`, and runs them in one round trip. One answer each, in order: `{ok = value}` or `{err = message}`. A failure does not stop the ones behind it.",
    function* (self, args) {
      return yield* new Batch(self).run(args.func(1, "fn"));
    },
  ),
};

/** The methods by what they are about, as the manual shows them. */
export const VM_METHOD_GROUPS: Readonly<Record<string, VmMethods>> = {
  "Life of a VM": LIFE_METHODS,
  Commands: COMMAND_METHODS,
  "Background jobs": JOB_METHODS,
  Files: FILE_METHODS,
  "System calls": SYSCALL_METHODS,
  "Clock, console, batch": OBJECT_METHODS,
};

defineClass<VmHandle>({
  name: "vm",
  of: VmHandle as unknown as abstract new () => VmHandle,
  doc: "A virtual machine. `provium:vm` makes one of the lab API, `provium.create` one of the classic API.",
  methods: Object.assign({}, ...Object.values(VM_METHOD_GROUPS)) as VmMethods,
  equals: (a, b) => a.vm === b.vm,
  text: (self) => `vm \`${self.vm.name}\` (${self.vm.state})`,
});
