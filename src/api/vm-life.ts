/** `vm:boot`, `vm:shutdown` and the other turns of a VM's life. */

import { parseBootOptions } from "../lab/options.ts";
import { optionTable } from "./arguments.ts";
import { type VmMethods, vmMethod } from "./handles.ts";

export const LIFE_METHODS: VmMethods = {
  boot: vmMethod(
    "(opts?: BootOptions): VM",
    "Starts the VM and waits until its agent is ready; returns the VM itself. Options are laid on those given at creation: `memory`, `cpus`, `files`, `disks`, `kernel_cmdline`, `kernel_cmdline_append`, `rng_seed`, `initial_time`, `deterministic`, `boot_timeout`. Allowed from created, shutdown and dead (a cold boot).",
    function* (self, args) {
      const table = args.optTable(1, "boot: opts");
      const resolve = (path: string): string => self.api.hostPath(path, self.flavour);
      const options = parseBootOptions(table && optionTable(table), {
        call: "boot",
        flavour: self.flavour,
        resolve,
      });
      yield* self.vm.boot(options);
      return self;
    },
  ),
  shutdown: vmMethod(
    "()",
    "Powers the guest off through its agent, after a sync; by force after 10 s. Repeatable.",
    function* (self) {
      yield* self.vm.shutdown();
    },
  ),
  kill: vmMethod(
    "()",
    "Ends the machine at once, like a pulled plug. Leaves the state `dead`. Repeatable.",
    (self) => self.vm.kill(),
  ),
  close: vmMethod(
    "()",
    "What the end of a scope does: shuts down (a classic VM: kills) if it runs.",
    function* (self) {
      yield* self.vm.close();
    },
  ),
  pause: vmMethod("()", "Stops the guest's CPUs. Needs booted.", function* (self) {
    yield* self.vm.pause();
  }),
  resume: vmMethod("()", "Lets a paused guest go on, and ends what was closed meanwhile.", function* (self) {
    yield* self.vm.resume();
  }),
  reset: vmMethod("()", "Warm reboot; returns when the agent of the new boot is ready.", function* (self) {
    yield* self.vm.reset();
  }),
  power_button: vmMethod(
    "()",
    "Presses the ACPI power button and waits until the guest has powered itself off.",
    function* (self) {
      yield* self.vm.powerButton();
    },
  ),
  name: vmMethod(
    "(): string",
    "The VM's name; `profile-n` for one made by `provium.create`.",
    (self) => self.vm.name,
  ),
  profile: vmMethod("(): string", "The name of its profile.", (self) => self.vm.profile.name),
  state: vmMethod(
    "(): string",
    "`created`, `booted`, `paused`, `shutdown` or `dead`.",
    (self) => self.vm.state,
  ),
  cid: vmMethod(
    "(): integer|nil",
    "The vsock context ID of the last boot; nil before it and over the serial channel.",
    (self) => self.vm.cid ?? null,
  ),
  as: vmMethod(
    '(flavour: "classic"|"lab"): VM',
    "The same VM seen through the other API; the two are equal.",
    (self, args) => self.as(args.oneOf(1, ["classic", "lab"], "flavour")),
  ),
};
