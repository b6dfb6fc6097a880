import { describe, expect, test } from "bun:test";
import {
  GuestError,
  HostError,
  InterruptedError,
  TimeoutError,
  VmDeadError,
} from "../../../src/errors/errors.ts";
import type { BootOptions } from "../../../src/lab/options.ts";
import { bootBound, kernelCmdline, wholeCmdline } from "../../../src/lab/plan.ts";
import { consoleText } from "../../../src/lab/session.ts";
import { Vm } from "../../../src/lab/vm.ts";
import { after, NEVER, type Op, until } from "../../../src/sys/op.ts";
import { at, type FakeMachine, fakes, profile, run } from "./fakes.ts";

const setUp = (options: BootOptions = {}, world = fakes()) => {
  const vm = new Vm("a", profile("default"), options, world.host, "shutdown", function* () {});
  return { vm, world };
};
const call = (vm: Vm): Op<unknown> => vm.call("run", (guest) => guest.main.run({} as never));
const kinds = (world: ReturnType<typeof fakes>) => world.events.map((event) => event.kind);

describe("states of a vm", () => {
  test("a call in the wrong state names the vm, its state and what is needed", () => {
    const { vm } = setUp();
    expect(() => run(call(vm))).toThrow("vm `a` is created; run needs booted");
    run(vm.boot());
    run(vm.shutdown());
    expect(() => run(call(vm))).toThrow("vm `a` is shutdown; run needs booted");
    expect(() => run(vm.pause())).toThrow("vm `a` is shutdown; pause needs booted");
  });

  test("what a guest refuses is told of that guest", () => {
    const { vm } = setUp();
    run(vm.boot());
    const refuse = (where: string | undefined) => (): Op<never> =>
      at(() => {
        throw new GuestError("open `/x`: EACCES", 13, { where, hint: "be root" });
      });
    const thrown = (where?: string): GuestError => {
      try {
        return run(vm.call("read_file", refuse(where)));
      } catch (error) {
        return error as GuestError;
      }
    };
    const { message, errno, hint, where } = thrown("the main task: read_file");
    expect([message, errno, hint]).toEqual(["open `/x`: EACCES", 13, "be root"]);
    expect(where).toBe("vm `a`, the main task: read_file");
    expect(thrown().where).toBe("vm `a`");
  });

  test("boot is allowed from created, shutdown and dead, and refused while booted or paused", () => {
    const { vm } = setUp();
    run(vm.boot());
    expect(() => run(vm.boot())).toThrow("vm `a` is booted; boot needs created, shutdown or dead");
    run(vm.pause());
    expect(() => run(vm.boot())).toThrow("vm `a` is paused; boot needs");
    vm.kill();
    expect(vm.state).toBe("dead");
    run(vm.boot());
    run(vm.shutdown());
    run(vm.boot());
    expect(vm.state).toBe("booted");
  });

  test("a second boot keeps the options of the first", () => {
    const { vm, world } = setUp({ cpus: 2 });
    run(vm.boot({ memoryBytes: 2 ** 30 }));
    vm.kill();
    run(vm.boot());
    expect(world.machines.map((machine) => [machine.spec.memoryBytes, machine.spec.cpus])).toEqual([
      [2 ** 30, 2],
      [2 ** 30, 2],
    ]);
  });

  test("of many lives the directories of the last few that are over stay", () => {
    const { vm, world } = setUp();
    for (let i = 0; i < 20; i++) {
      run(vm.boot());
      if (i % 2 === 0) run(vm.shutdown());
      else vm.kill();
    }
    run(vm.boot());
    expect([...world.directories]).toEqual(Array.from({ length: 9 }, (_, i) => `/run/a-${13 + i}`));
  });

  test("shutdown and kill are repeatable and every spawn is paired with one shutdown", () => {
    const { vm, world } = setUp();
    run(vm.boot());
    run(vm.shutdown());
    run(vm.shutdown());
    run(vm.boot());
    vm.kill();
    vm.kill();
    expect(kinds(world).filter((kind) => kind === "vm_spawned")).toHaveLength(2);
    expect(kinds(world).filter((kind) => kind === "vm_shutdown")).toHaveLength(2);
  });

  test("memory goes back to the pool at shutdown, at kill and after a boot that failed", () => {
    const { vm, world } = setUp();
    run(vm.boot());
    expect(world.lent).toBe(512 * 2 ** 20);
    run(vm.shutdown());
    expect(world.lent).toBe(0);
    world.refusal = new Error("no qemu");
    expect(() => run(vm.boot())).toThrow("no qemu");
    expect(world.lent).toBe(0);
    expect(vm.state).toBe("shutdown");
  });

  test("a paused vm is resumed for its power-off, since it could not hear otherwise", () => {
    const { vm, world } = setUp();
    run(vm.boot());
    run(vm.pause());
    run(vm.shutdown());
    expect((world.machines[0] as FakeMachine).calls).toEqual(["pause", "resume", "waitExit", "close"]);
    expect(world.guests[0]?.calls).toEqual(["shutdown"]);
  });

  test("one thing that cannot be done when a paused vm goes on does not keep the others from being done", () => {
    const { vm } = setUp();
    run(vm.boot());
    run(vm.pause());
    const done: string[] = [];
    const owe = (what: string, error?: Error): void =>
      run(
        vm.bring(() =>
          at(() => {
            done.push(what);
            if (error !== undefined) throw error;
          }),
        ),
      );
    owe("first");
    owe("second", new GuestError("no room left", 28));
    owe("third", new GuestError("nor here", 28));
    owe("fourth");
    expect(() => run(vm.resume())).toThrow("no room left");
    expect(done).toEqual(["first", "second", "third", "fourth"]);
    expect(vm.state).toBe("booted");
  });

  test("what a paused vm is owed waits when it is paused again meanwhile", () => {
    const { vm } = setUp();
    run(vm.boot());
    run(vm.pause());
    const done: string[] = [];
    run(vm.bring(() => vm.pause()));
    run(vm.bring(() => at(() => void done.push("later"))));
    run(vm.resume());
    expect(done).toEqual([]);
    run(vm.resume());
    expect(done).toEqual(["later"]);
  });

  test("reset talks to the agent of the new boot", () => {
    const { vm, world } = setUp();
    run(vm.boot());
    run(vm.reset());
    expect(world.guests).toHaveLength(2);
    expect(world.guests[0]?.closed).toBeInstanceOf(Error);
    expect(vm.state).toBe("booted");
  });

  test("a reset that does not come back leaves a dead vm that can be booted again", () => {
    const { vm, world } = setUp();
    run(vm.boot());
    const machine = world.machines[0] as FakeMachine;
    machine.connect = () =>
      at(() => {
        throw new TimeoutError("no agent answered");
      });
    expect(() => run(vm.reset())).toThrow("no agent answered");
    expect(vm.state).toBe("dead");
    expect(() => run(call(vm))).toThrow("vm `a` died: it did not come back from its reset");
    expect(machine.calls).toContain("close");
    expect(world.lent).toBe(0);
    run(vm.boot());
    expect(vm.state).toBe("booted");
  });

  test("a boot that is interrupted while it asks why it failed leaves no machine behind", () => {
    const world = fakes();
    const openGuest = () =>
      at((): never => {
        throw new Error("the agent closed the channel");
      });
    const vm = new Vm("a", profile("default"), {}, { ...world.host, openGuest }, "shutdown", function* () {});
    const boot = vm.boot();
    // Up to the wait for the machine's own story.
    let step = boot.next();
    while (!step.done && step.value.deadline === NEVER) step = boot.next(true);
    expect(step.done).toBe(false);
    expect(() => boot.throw(new InterruptedError("the test is over"))).toThrow("the test is over");
    expect(world.machines[0]?.calls).toContain("close");
    expect(world.lent).toBe(0);
  });

  test("a power button that the guest ignores is an error with advice", () => {
    const { vm, world } = setUp();
    run(vm.boot());
    (world.machines[0] as FakeMachine).exits = false;
    expect(() => run(vm.powerButton())).toThrow("vm `a` did not power off within 30 s of its power button");
  });
});

describe("death of a vm", () => {
  /** Lets the fault happen while a call waits. */
  function* during(op: Op<unknown>, fault: () => void): Op<unknown> {
    let step = op.next();
    fault();
    while (!step.done) step = op.next(yield step.value);
    return step.value;
  }

  test("a machine that dies fails the pending call with the reason and the console", () => {
    const { vm, world } = setUp();
    run(vm.boot());
    const machine = world.machines[0] as FakeMachine;
    machine.text = "booting\nKernel panic - not syncing: boom\n";
    let error: unknown;
    try {
      run(during(call(vm), () => machine.die("kernel panic: boom")));
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(VmDeadError);
    expect((error as Error).message).toBe(
      "vm `a` died during run: kernel panic: boom\nlast console lines:\n  booting\n  Kernel panic - not syncing: boom",
    );
    expect(vm.state).toBe("dead");
    expect(kinds(world)).toEqual(["vm_spawned", "vm_state", "vm_shutdown"]);
    expect(world.lent).toBe(0);
  });

  test("a machine that dies under an order to itself tells why, not what the monitor said", () => {
    for (const order of ["pause", "reset", "powerButton"] as const) {
      const { vm, world } = setUp();
      run(vm.boot());
      const machine = world.machines[0] as FakeMachine;
      machine[order] = () =>
        at(() => {
          machine.die("QEMU was killed by signal 9");
          throw new HostError("QEMU's monitor: ECONNRESET");
        });
      if (order === "powerButton") machine.expectExit = () => {};
      expect(() => run(vm[order]())).toThrow(
        /^vm `a` died during (pause|reset|power_button): QEMU was killed/,
      );
      expect(vm.state).toBe("dead");
    }
  });

  test("an agent that goes away makes the vm dead, although the machine still runs", () => {
    const { vm, world } = setUp();
    run(vm.boot());
    const machine = world.machines[0] as FakeMachine;
    expect(() => run(during(call(vm), () => machine.channels[0]?.hangUp("connection reset")))).toThrow(
      "vm `a` died during run: connection reset",
    );
    expect(vm.state).toBe("dead");
    expect(machine.calls).toContain("close");
  });

  test("a machine that dies while it boots ends the boot at once, although its channel was closed without a word", () => {
    const world = fakes();
    let waited = false;
    const { vm } = setUp(
      {},
      {
        ...world,
        host: {
          ...world.host,
          *openGuest() {
            (world.machines[0] as FakeMachine).die("QEMU was killed by signal 9");
            waited = !(yield* until(() => false, after(2000)));
            throw new TimeoutError("no READY");
          },
        },
      },
    );
    expect(() => run(vm.boot())).toThrow("vm `a` died during boot: QEMU was killed by signal 9");
    expect(waited).toBe(false);
    expect(world.lent).toBe(0);
  });

  test("a death between two calls is told by the next one", () => {
    const { vm, world } = setUp();
    run(vm.boot());
    (world.machines[0] as FakeMachine).die("QEMU was killed by signal 9");
    expect(vm.state).toBe("dead");
    expect(() => run(call(vm))).toThrow(
      "vm `a` is dead; run needs booted\nvm `a` died: QEMU was killed by signal 9",
    );
    run(vm.boot());
    expect(vm.state).toBe("booted");
  });
});

test("what the kernel writes to both consoles is told once", () => {
  const tail = "[    1.1] a\r\n[    1.2] b\n[    1.1] a\n[    1.2] b\n\nlogin:\nlogin:\nx\nlogin:\n";
  expect(consoleText(tail)).toEqual(["[    1.1] a", "[    1.2] b", "login:", "x", "login:"]);
});

describe("the plan of a boot", () => {
  test("missing consoles go in front, so that a console of the user's own stays /dev/console", () => {
    expect(kernelCmdline(profile("p"), {}, "rdinit=/w")).toBe(
      "console=hvc0 console=ttyS0 rdinit=/w quiet panic=-1",
    );
    expect(kernelCmdline(profile("p"), { kernelCmdline: "console=hvc0 debug" }, "")).toBe(
      "console=ttyS0 console=hvc0 debug",
    );
    expect(kernelCmdline(profile("p"), { kernelCmdlineAppend: "console=ttyS0,115200 x=1" }, "")).toBe(
      "console=hvc0 quiet panic=-1 console=ttyS0,115200 x=1",
    );
  });

  test("a command line of which the kernel would read a part only is refused", () => {
    const { vm } = setUp();
    const append = "x".repeat(2000);
    expect(() => run(vm.boot({ kernelCmdlineAppend: append }))).toThrow(
      /boot: the kernel's command line has 20\d\d bytes with what Provium adds, and a kernel reads at most 2047/,
    );
    expect(vm.state).toBe("created");
    expect(wholeCmdline("x".repeat(2047))).toHaveLength(2047);
    expect(() => wholeCmdline("é".repeat(1024))).toThrow("has 2048 bytes");
  });

  test("software emulation multiplies every boot deadline by four", () => {
    expect(bootBound({}, false)).toEqual({ ms: 30_000, text: "30 s" });
    expect(bootBound({ bootTimeoutMs: 5000 }, true)).toEqual({
      ms: 20_000,
      text: "20 s (5 s, times 4 without KVM)",
    });
  });

  test("the local VMM refuses what only a machine can have", () => {
    const { vm } = setUp({ files: [{ path: "/x", content: new Uint8Array() }] }, fakes("kvm", "local"));
    expect(() => run(vm.boot())).toThrow("boot: files need a machine, and --vmm local boots none");
  });
});
