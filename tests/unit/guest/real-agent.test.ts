import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSerial } from "../../../src/channel/serial.ts";
import { ApiError, GuestError, VmDeadError } from "../../../src/errors/errors.ts";
import { openGuest } from "../../../src/guest/session.ts";
import type { Command, Guest, GuestProcess, LaunchSpec, Machine } from "../../../src/lab/ports.ts";
import { closeFd, libc, socketPair } from "../../../src/sys/libc.ts";
import { after, all, monotonic, NEVER, type Op, sleep, until } from "../../../src/sys/op.ts";
import { type Child, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, spawn } from "../../../src/sys/process.ts";
import { Reactor } from "../../../src/sys/reactor.ts";
import { LocalVmm } from "../../../src/vmm/local.ts";
import { bytes, SOON, text } from "./fake-agent.ts";

const AGENT = new URL("../../../build/agent/provium-agent", import.meta.url).pathname;
const HELPER = new URL("../../../build/agent/provium-helper", import.meta.url).pathname;

const SIGHUP = 1;

const spec: LaunchSpec = {
  name: "here",
  architecture: "x86_64",
  memoryBytes: 0,
  cpus: 1,
  cmdline: "",
  disks: [],
  qemuArgs: [],
  accel: "tcg",
  transport: "local",
  directory: tmpdir(),
};

const sh = (script: string, changes: Partial<Command> = {}): Command => ({
  argv: [bytes("/bin/sh"), bytes("-c"), bytes(script)],
  env: [],
  envClear: false,
  stdinOpen: false,
  timeoutMs: 0,
  ...changes,
});

const alive = (pid: number): boolean => {
  try {
    // A zombie has no command line and does not count.
    return readFileSync(`/proc/${pid}/cmdline`).byteLength > 0;
  } catch {
    return false;
  }
};

describe.skipIf(!existsSync(AGENT))("the agent on the local VMM", () => {
  const reactor = new Reactor();
  const vmm = new LocalVmm({ reactor, env: process.env, agent: AGENT, helper: HELPER });
  const machines: Machine[] = [];
  let machine: Machine;
  let guest: Guest;
  let directory = "";

  const run = <T>(op: Op<T>): T => reactor.run(op);
  const boot = (): void => {
    machine = run(vmm.launch(spec));
    machines.push(machine);
    guest = run(openGuest(run(machine.connect(after(SOON))), after(SOON)));
  };
  const turnUntil = (condition: () => boolean): void => {
    // Conditions outside the process wake no descriptor, so they are asked for again and again.
    const deadline = after(SOON);
    while (!condition() && monotonic() < deadline) run(sleep(2));
    expect(condition()).toBe(true);
  };
  const at = (name: string): Uint8Array => bytes(join(directory, name));

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "provium-unit-"));
    boot();
  });
  afterAll(() => {
    for (const each of machines) each.close();
    rmSync(directory, { recursive: true, force: true });
  });

  describe("commands", () => {
    test("output, error output and status come back apart", () => {
      const result = run(guest.main.run(sh("echo out; echo err >&2; exit 7")));
      expect([text(result.stdout), text(result.stderr), result.code]).toEqual(["out\n", "err\n", 7]);
    });

    test("a command that takes too long is killed by the agent", () => {
      const result = run(guest.main.run(sh("echo begun; sleep 60", { timeoutMs: 3_000 })));
      expect(result.timedOut).toBe(true);
      expect(result.how).toBe("signalled");
      expect(text(result.stdout)).toBe("begun\n");
    });

    test("megabytes go in and come out while both are under way", () => {
      const stdin = new Uint8Array(5_000_000).map((_, i) => (i * 7) & 0xff);
      const result = run(guest.main.run(sh("cat", { stdin })));
      expect(Buffer.compare(result.stdout, stdin)).toBe(0);
    });

    test("output beyond every window arrives whole when somebody waits", () => {
      const result = run(guest.main.run(sh("head -c 40000000 /dev/zero; head -c 3000000 /dev/zero >&2")));
      expect([result.stdout.byteLength, result.stderr.byteLength]).toEqual([40_000_000, 3_000_000]);
    });

    test("an orphan that keeps the pipe does not keep the caller", () => {
      const start = monotonic();
      const result = run(guest.main.run(sh("sleep 600 & echo done")));
      expect(text(result.stdout)).toBe("done\n");
      expect(monotonic() - start).toBeLessThan(SOON);
    });

    test("several run side by side", () => {
      const ops = [1, 2, 3, 4].map((i) => guest.main.run(sh(`echo ${i}; exit ${i}`)));
      expect(run(all(ops)).map(({ code }) => code)).toEqual([1, 2, 3, 4]);
    });

    test("a program that does not exist is named with its errno", () => {
      const argv = [bytes("no-such-program")];
      expect(() => run(guest.main.run(sh("", { argv })))).toThrow(
        "`no-such-program`: No such file or directory (ENOENT)",
      );
    });

    test("stdin can be written while the command runs", () => {
      const cat = run(guest.main.start(sh("cat", { stdinOpen: true })));
      run(cat.stdinWrite(bytes("one ")));
      turnUntil(() => cat.collected(1).byteLength === 4);
      run(cat.stdinWrite(bytes("two")));
      run(cat.stdinClose());
      expect(text(run(cat.wait(NEVER))?.stdout as Uint8Array)).toBe("one two");
      run(cat.close(0));
    });

    test("closing a handle ends the whole group of the command", () => {
      const process = run(guest.main.start(sh("sleep 60 & echo $!; wait")));
      turnUntil(() => process.collected(1).byteLength > 1);
      const child = Number(text(process.collected(1)));
      // One that is just about to become another program has no command line for a moment.
      turnUntil(() => alive(child));
      run(process.close(0));
      turnUntil(() => !alive(child));
    });

    test("after all of it the agent holds no process", () => {
      turnUntil(() => run(guest.state()).processes === 0);
    });
  });

  describe("files", () => {
    test("what is written is read, of any size", () => {
      for (const size of [0, 1, 70_000, 1024 * 1024, 1024 * 1024 + 1, 40_000_000]) {
        const data = new Uint8Array(size).fill(0x61);
        if (size > 0) data[size - 1] = 0x62;
        run(guest.main.writeFile(at("file"), data));
        expect(Buffer.compare(run(guest.main.readFile(at("file"))), data)).toBe(0);
      }
    });

    test("permissions are set exactly, and shown", () => {
      run(guest.main.writeFile(at("secret"), bytes("x"), 0o604));
      const stat = run(guest.main.stat(at("secret"), true));
      expect([stat.perm, stat.type, stat.size]).toEqual([0o604, "file", 1]);
    });

    test("files of the kernel that have no size are read to their end", () => {
      expect(text(run(guest.main.readFile(bytes("/proc/self/status"))))).toContain("\nPid:");
    });

    test("a host file is pushed", () => {
      const source = join(directory, "source");
      writeFileSync(source, new Uint8Array(3_000_000).fill(9));
      run(guest.main.pushFile(source, at("pushed"), 0o755));
      expect(readFileSync(join(directory, "pushed")).equals(readFileSync(source))).toBe(true);
    });

    test("directories are made, listed, renamed and removed", () => {
      run(guest.main.mkdir(at("a/b/c"), true));
      run(guest.main.writeFile(at("a/file"), bytes("x")));
      run(guest.main.rename(at("a/file"), at("a/other")));
      const entries = run(guest.main.list(at("a"))).map(({ name, type }) => `${text(name)}: ${type}`);
      expect(entries.sort()).toEqual(["b: directory", "other: file"]);
      run(guest.main.unlink(at("a/b/c")));
      expect(() => run(guest.main.stat(at("a/b/c"), true))).toThrow("(ENOENT)");
    });

    test("a directory of three thousand entries is listed whole", () => {
      run(
        guest.main.run(sh(`mkdir '${directory}/many' && cd '${directory}/many' && seq 3000 | xargs touch`)),
      );
      expect(run(guest.main.list(at("many"))).length).toBe(3_000);
    });

    test("a failure names operation, path and errno", () => {
      try {
        run(guest.main.writeFile(bytes("/proc/no/such"), bytes("x")));
        throw new Error("nothing was thrown");
      } catch (error) {
        expect(error).toBeInstanceOf(GuestError);
        expect((error as GuestError).errno).toBe(2);
        expect((error as GuestError).message).toContain(
          "`/proc/no/such`: No such file or directory (ENOENT)",
        );
      }
    });

    test("after all of it the task holds no more descriptors than before", () => {
      const before = run(guest.state()).taskFds;
      run(guest.main.writeFile(at("file"), new Uint8Array(5_000_000)));
      run(guest.main.readFile(at("file")));
      expect(() => run(guest.main.readFile(at("absent")))).toThrow();
      expect(run(guest.state()).taskFds).toBe(before);
    });
  });

  describe("the raw kernel interface", () => {
    test("buffers go in by address and come out changed", () => {
      const uname = run(
        guest.main.syscall({ nr: 63, args: [0], bufs: [new Uint8Array(390)], ptrs: [0], nested: [] }),
      );
      expect(uname.ret).toBe(0);
      expect(text((uname.out[0] as Uint8Array).subarray(0, 5))).toBe("Linux");
    });

    test("a failing call returns the negative errno", () => {
      expect(run(guest.main.syscall({ nr: 3, args: [-1], bufs: [], ptrs: [], nested: [] })).ret).toBe(-9);
    });

    test("a call that ends the task fails, and the next one is served by a new task", () => {
      const exit = { nr: 231, args: [0], bufs: [], ptrs: [], nested: [] };
      expect(() => run(guest.main.syscall(exit))).toThrow(GuestError);
      expect(
        run(guest.main.syscall({ nr: 39, args: [], bufs: [], ptrs: [], nested: [] })).ret,
      ).toBeGreaterThan(0);
    });

    test("a call that never returns is given up when it is interrupted, and the agent goes on", () => {
      const deadline = after(50);
      reactor.setInterrupt({
        check: () => (monotonic() > deadline ? new Error("deadline") : undefined),
        deadline: () => deadline,
      });
      const pause = { nr: 34, args: [], bufs: [], ptrs: [], nested: [] };
      try {
        expect(() => run(guest.main.syscall(pause))).toThrow("deadline");
      } finally {
        reactor.setInterrupt(undefined);
      }
      expect(text(run(guest.echo(bytes("alive"))))).toBe("alive");
      expect(
        run(guest.main.syscall({ nr: 39, args: [], bufs: [], ptrs: [], nested: [] })).ret,
      ).toBeGreaterThan(0);
    });
  });

  describe("the machine", () => {
    afterEach(boot);

    test("a killed agent fails the pending call and is the machine's death", () => {
      const call = function* (): Op<void> {
        yield* guest.main.run(sh("exec sleep 60"));
      };
      const kill = function* (): Op<void> {
        yield* sleep(20);
        process.kill(machine.pid, SIGKILL);
      };
      expect(() => run(all([call(), kill()]))).toThrow(VmDeadError);
      turnUntil(() => machine.death !== undefined);
      expect(machine.death?.message).toContain("signal 9");
    });

    test("a paused agent answers after it was resumed", () => {
      run(machine.pause());
      const op = guest.echo(bytes("late"));
      expect(run(until(() => false, after(20)))).toBe(false);
      run(machine.resume());
      expect(text(run(op))).toBe("late");
    });

    test("reset gives a fresh agent and ends the commands of the old one", () => {
      const process = run(guest.main.start(sh("exec sleep 60")));
      run(machine.reset());
      turnUntil(() => !alive(process.pid));
      expect(machine.death).toBeUndefined();
      guest = run(openGuest(run(machine.connect(after(SOON))), after(SOON)));
      expect(text(run(guest.main.run(sh("echo new"))).stdout)).toBe("new\n");
    });

    test("closing ends every command, also those in the background", () => {
      const process = run(guest.main.start(sh("sleep 60 & echo $!; wait")));
      turnUntil(() => process.collected(1).byteLength > 1);
      const child = Number(text(process.collected(1)));
      machine.close();
      machine.close();
      expect(machine.death).toBeUndefined();
      turnUntil(() => !alive(child) && !alive(process.pid));
    });

    /** Processes whose commands are over: one in the session of its command, one in its own. */
    const outliving = (): number[] => {
      const scripts = [
        "sleep 60 >/dev/null 2>&1 & echo $!",
        "setsid sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1' &",
      ];
      const commands = scripts.map((script) => run(guest.main.start(sh(script))));
      const said = (command: GuestProcess): string => text(command.collected(1));
      turnUntil(() => commands.every((command) => said(command).endsWith("\n") && !alive(command.pid)));
      const pids = commands.map((command) => Number(said(command)));
      turnUntil(() => pids.every(alive));
      return pids;
    };

    test("closing also ends what outlived its command, in whatever session it is", () => {
      const pids = outliving();
      machine.close();
      turnUntil(() => !pids.some(alive));
    });

    test("closing lets a guard that stands still for a moment end what a killed agent has left", () => {
      const pids = outliving();
      const guard = machine.pid;
      const agent = Number(readFileSync(`/proc/${guard}/task/${guard}/children`, "latin1"));
      process.kill(guard, SIGSTOP);
      process.kill(agent, SIGKILL);
      const args = ["-c", `sleep 1; kill -CONT ${guard}`];
      const waker = spawn({ program: "/bin/sh", args, env: process.env }, reactor);
      machine.close();
      turnUntil(() => !pids.some(alive));
      waker.close();
    });

    test("an agent that is told to end takes its commands along, also one that was stopped", () => {
      for (const signals of [[SIGTERM], [SIGSTOP, SIGHUP, SIGCONT]]) {
        const command = run(guest.main.start(sh("sleep 60 & echo $!; wait")));
        turnUntil(() => command.collected(1).byteLength > 1);
        const child = Number(text(command.collected(1)));
        for (const signal of signals) process.kill(machine.pid, signal);
        turnUntil(() => !alive(child) && !alive(command.pid));
        boot();
      }
    });

    test("a shutdown that was asked for is no death", () => {
      machine.expectExit();
      run(guest.shutdown(100, after(SOON)));
      expect(run(machine.waitExit(after(SOON)))).toBe(true);
      expect(machine.death).toBeUndefined();
    });

    test("what only a real machine has is refused by name", () => {
      const disk = { id: "data", readonly: false, slot: 1, fd: 9 };
      expect(() => run(vmm.launch({ ...spec, disks: [disk] }))).toThrow("`data`");
      expect(() => run(machine.powerButton())).toThrow(ApiError);
      expect(() => run(machine.console.write(bytes("x"), NEVER))).toThrow("console");
    });
  });

  describe("over a port without connections", () => {
    let child: Child | undefined;
    afterEach(() => child?.close());

    test("SYNC finds the agent, and a second session takes over from the first", () => {
      const [ours, theirs] = socketPair();
      child = spawn(
        {
          program: AGENT,
          args: ["--serial-fd", "3"],
          env: process.env,
          descriptors: [{ from: theirs, to: 3 }],
          helper: HELPER,
        },
        reactor,
      );
      closeFd(theirs);
      // As QEMU's machine does it: each session has a descriptor of its own, the port stays.
      const session = (): Guest => run(openGuest(openSerial(reactor, libc.dup(ours)), after(SOON)));
      const one = session();
      expect(text(run(one.main.run(sh("echo one"))).stdout)).toBe("one\n");
      // Ended in the middle of an answer.
      const cut = one.main.readFile(bytes("/dev/zero"));
      cut.next();
      reactor.poll();
      one.close();
      const two = session();
      expect(text(run(two.main.run(sh("echo two"))).stdout)).toBe("two\n");
      two.close();
      closeFd(ours);
    });
  });
});
