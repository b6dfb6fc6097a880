/** The Lua object `vm`: its methods, gathered from their files. */

import { defineClass } from "../lua/native.ts";
import { ASYNC_METHODS } from "./async-call.ts";
import { Batch } from "./batch.ts";
import { Clock } from "./clock.ts";
import { Console, consoleSocketPath } from "./console.ts";
import { DISK_METHODS } from "./disk.ts";
import { OPEN_FILE_METHODS } from "./file.ts";
import { type GuestMethods, guestMethod, VmHandle, type VmMethods } from "./handles.ts";
import { JOB_METHODS } from "./jobs.ts";
import { KERNEL_METHODS } from "./kernel-methods.ts";
import { NIC_METHODS } from "./nic.ts";
import { PROCESS_METHODS } from "./process.ts";
import { COUNT_METHODS } from "./quiescence.ts";
import { SNAPSHOT_METHODS } from "./snapshot.ts";
import { ARCH_METHODS } from "./sys.ts";
import { TAIL_METHODS } from "./tails.ts";
import { COMMAND_METHODS } from "./vm-command.ts";
import { FILE_METHODS } from "./vm-file.ts";
import { LIFE_METHODS } from "./vm-life.ts";
import { SPAWN_METHODS, WORKER_METHODS, WorkerHandle } from "./worker.ts";

const OBJECT_METHODS: GuestMethods = {
  clock: guestMethod("(): Clock", "The guest's wall clock.", (self) => new Clock(self)),
  console: guestMethod("(): Console", "The guest's console.", (self) => new Console(self)),
  console_socket_path: guestMethod(
    "(): string",
    "The path of a Unix socket for programs outside of the test (socat, minicom). A client hears what the console says from then on and types into /dev/console. Served while the test waits for anything; gone when the machine ends. Errors: without a machine, or a deterministic one.",
    consoleSocketPath,
  ),
  batch: guestMethod(
    "(fn: function): {ok?: any, err?: string}[]",
    "Calls `fn(q)`, which queues operations on `q`, and runs them in one round trip. One answer each, in order: `{ok = value}` or `{err = message}`. A failure does not stop the ones behind it.",
    function* (self, args) {
      return yield* new Batch(self).run(args.func(1, "fn"));
    },
  ),
};

/** What acts in the guest, by what it is about: VMs and workers have it. */
export const GUEST_METHOD_GROUPS: Readonly<Record<string, GuestMethods>> = {
  Commands: { ...COMMAND_METHODS, ...PROCESS_METHODS },
  "Background jobs": JOB_METHODS,
  Files: { ...FILE_METHODS, ...OPEN_FILE_METHODS, ...TAIL_METHODS },
  "System calls": { ...KERNEL_METHODS, ...ASYNC_METHODS, ...ARCH_METHODS },
  "Clock, console, batch": OBJECT_METHODS,
};

/** The methods of a VM as the manual shows them. */
export const VM_METHOD_GROUPS: Readonly<Record<string, VmMethods>> = {
  "Life of a VM": LIFE_METHODS,
  Snapshots: SNAPSHOT_METHODS,
  ...GUEST_METHOD_GROUPS,
  Network: NIC_METHODS,
  Disks: DISK_METHODS,
  "Workers and what is open": { ...SPAWN_METHODS, ...COUNT_METHODS },
};

defineClass<VmHandle>({
  name: "vm",
  of: VmHandle as unknown as abstract new () => VmHandle,
  doc: "A virtual machine. `provium:vm` makes one of the lab API, `provium.create` one of the classic API.",
  methods: Object.assign({}, ...Object.values(VM_METHOD_GROUPS)) as VmMethods,
  equals: (a, b) => a.vm === b.vm,
  text: (self) => `vm \`${self.vm.name}\` (${self.vm.state})`,
});

defineClass<WorkerHandle>({
  name: "Worker",
  of: WorkerHandle as unknown as abstract new () => WorkerHandle,
  doc: "A further task of a guest, with credentials of its own. It has every method of a VM that acts in the guest, and ends with its scope at the latest.",
  methods: {
    ...(Object.assign({}, ...Object.values(GUEST_METHOD_GROUPS)) as GuestMethods),
    ...WORKER_METHODS,
  },
  equals: (a, b) => a.worker === b.worker,
  text: (self) => `${self.label} (${self.alive ? "running" : "ended"})`,
});
