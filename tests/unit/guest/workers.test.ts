import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { GuestError } from "../../../src/errors/errors.ts";
import type { Actor, Command, WorkerActor } from "../../../src/lab/ports.ts";
import { all, type Op } from "../../../src/sys/op.ts";
import { bytes, text } from "./fake-agent.ts";
import { AGENT_BUILT, LocalGuest } from "./local-guest.ts";

const SYS_READ = 0;
const SYS_MMAP = 9;
const SYS_MUNMAP = 11;
const SYS_EXIT = 60;
const SYS_FUTEX = 202;
const SYS_UNSHARE = 272;
const CLONE_NEWPID = 0x20000000;
const SYS_PIPE2 = 293;
const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const EBADF = 9;
const SYS_GETPID = 39;
const SYS_FORK = 57;
const SYS_EXIT_GROUP = 231;
const SYS_EXECVE = 59;
const SYS_KILL = 62;
const SYS_FLOCK = 73;
const SYS_CHDIR = 80;
const SYS_GETUID = 102;
const SYS_SETRESUID = 117;
const SYS_GETTID = 186;
const SYS_NANOSLEEP = 35;
const LOCK_EX = 2;
const LOCK_UN = 8;
const SIGKILL = 9;
const SIGTERM = 15;

const sh = (script: string): Command => ({
  argv: [bytes("/bin/sh"), bytes("-c"), bytes(script)],
  env: [],
  envClear: false,
  stdinOpen: false,
  timeoutMs: 0,
});

describe.skipIf(!AGENT_BUILT)("workers", () => {
  let local: LocalGuest;
  const workers: WorkerActor[] = [];
  beforeAll(() => {
    local = new LocalGuest();
  });
  afterEach(() => {
    for (const worker of workers.splice(0)) local.run(worker.end());
  });
  afterAll(() => local.close());

  const spawn = (from: Actor = local.guest.main, thread = false): WorkerActor => {
    const worker = local.run(from.spawnWorker({ thread }));
    workers.push(worker);
    return worker;
  };
  function* call(
    actor: Actor,
    nr: number,
    args: readonly number[] = [],
    bufs: Uint8Array[] = [],
  ): Op<number> {
    return Number((yield* actor.syscall({ nr, args, bufs, ptrs: bufs.map((_, i) => i), nested: [] })).ret);
  }
  const syscall = (actor: Actor, nr: number, args: readonly number[] = [], bufs: Uint8Array[] = []): number =>
    local.run(call(actor, nr, args, bufs));
  const refusal = (act: () => unknown): GuestError => {
    try {
      act();
    } catch (error) {
      if (error instanceof GuestError) return error;
      throw error;
    }
    throw new Error("it was not refused");
  };
  /** A relative sleep as struct timespec. */
  const seconds = (count: number): Uint8Array => {
    const view = new DataView(new ArrayBuffer(16));
    view.setBigInt64(0, BigInt(count), true);
    return new Uint8Array(view.buffer);
  };
  const alive = (pid: number): boolean => existsSync(`/proc/${pid}`);

  describe("forks", () => {
    test("a worker has a process id of its own, and its calls run there", () => {
      const worker = spawn();
      expect(worker.pid).not.toBe(syscall(local.guest.main, SYS_GETPID));
      expect([syscall(worker, SYS_GETPID), syscall(worker, SYS_GETTID)]).toEqual([worker.pid, worker.pid]);
      expect(worker.tid).toBe(worker.pid);
      expect(worker.gone).toBeUndefined();
    });

    test("what a worker does to itself holds for it and its commands only", () => {
      const { main } = local.guest;
      const worker = spawn();
      expect(syscall(worker, SYS_CHDIR, [], [bytes("/proc\0")])).toBe(0);
      expect(text(local.run(worker.run(sh("pwd"))).stdout)).toBe("/proc\n");
      expect(text(local.run(main.run(sh("pwd"))).stdout)).not.toBe("/proc\n");
      if (syscall(main, SYS_GETUID) !== 0) return;
      expect(syscall(worker, SYS_SETRESUID, [65534, 65534, 65534])).toBe(0);
      expect(syscall(worker, SYS_GETUID)).toBe(65534);
      expect(text(local.run(worker.run(sh("id -u"))).stdout)).toBe("65534\n");
      expect(syscall(main, SYS_GETUID)).toBe(0);
    });

    test("open descriptors are copied, and the agent's own are not among them", () => {
      const { main } = local.guest;
      local.run(main.writeFile(local.at("shared"), bytes("0123456789")));
      const fd = local.run(main.open(local.at("shared"), 1));
      const worker = spawn();
      expect(text(local.run(worker.read(fd, 4)))).toBe("0123");
      expect(text(local.run(main.read(fd, 4)))).toBe("4567");
      local.run(worker.closeFd(fd));
      expect(text(local.run(main.read(fd, 4)))).toBe("89");
      local.run(main.closeFd(fd));
      const listed = (pid: number): string[] =>
        readdirSync(`/proc/${pid}/fd`)
          .map((name) => readlinkSync(`/proc/${pid}/fd/${name}`).replace(/\d+/g, "N"))
          .sort();
      expect(listed(worker.pid)).toEqual(listed(syscall(main, SYS_GETPID)));
    });

    test("large files go through a worker as through the main task", () => {
      const worker = spawn();
      const data = new Uint8Array(20 * 1024 * 1024).map((_, i) => (i * 7 + (i >> 11)) & 255);
      local.run(worker.writeFile(local.at("large"), data));
      expect(Buffer.compare(local.run(worker.readFile(local.at("large"))), data)).toBe(0);
      const echo = local.run(
        worker.syscall({
          nr: SYS_GETPID,
          args: [],
          bufs: [data.subarray(0, 12_000_000)],
          ptrs: [-1],
          nested: [],
        }),
      );
      expect(echo.out[0]?.byteLength).toBe(12_000_000);
    });

    test("two of them block in flock while a third releases it", () => {
      const { main } = local.guest;
      local.run(main.writeFile(local.at("lock"), bytes("")));
      const group = [spawn(), spawn(), spawn()] as const;
      const [holder, ...waiters] = group;
      const fds = group.map((worker) => local.run(worker.open(local.at("lock"), 3)));
      expect(syscall(holder, SYS_FLOCK, [fds[0]!, LOCK_EX])).toBe(0);
      const order: number[] = [];
      function* take(i: number): Op<void> {
        expect(yield* call(waiters[i] as Actor, SYS_FLOCK, [fds[i + 1]!, LOCK_EX])).toBe(0);
        order.push(i);
        expect(yield* call(waiters[i] as Actor, SYS_FLOCK, [fds[i + 1]!, LOCK_UN])).toBe(0);
      }
      function* release(): Op<void> {
        const asleep = (pid: number): boolean => readFileSync(`/proc/${pid}/wchan`, "latin1") !== "0";
        while (!waiters.every(({ pid }) => asleep(pid))) yield* call(holder, SYS_GETPID);
        order.push(9);
        yield* call(holder, SYS_FLOCK, [fds[0]!, LOCK_UN]);
      }
      local.run(all<void>([take(0), take(1), release()]));
      expect([order[0], order.length]).toEqual([9, 3]);
    });

    test("a worker of a worker is a copy of that one", () => {
      const first = spawn();
      expect(syscall(first, SYS_CHDIR, [], [bytes("/proc\0")])).toBe(0);
      const second = spawn(first);
      expect(text(local.run(second.run(sh("pwd"))).stdout)).toBe("/proc\n");
      local.run(first.end());
      expect(syscall(second, SYS_GETPID)).toBe(second.pid);
    });

    test("one that is ended is gone from the process table, and refuses by name", () => {
      const worker = spawn();
      local.run(worker.end());
      expect(alive(worker.pid)).toBe(false);
      expect(worker.gone).toBeInstanceOf(GuestError);
      expect(refusal(() => syscall(worker, SYS_GETPID)).message).toBe(
        `syscall ${SYS_GETPID}: worker ${worker.id} was ended before`,
      );
      local.run(worker.end());
    });

    test("one that sits in a call is ended all the same, and the call fails", () => {
      const worker = spawn();
      function* act(): Op<number> {
        yield* worker.end();
        return 0;
      }
      expect(
        refusal(() => local.run(all([call(worker, SYS_NANOSLEEP, [], [seconds(1000)]), act()]))).message,
      ).toContain(`worker ${worker.id}`);
      local.run(worker.end());
      expect(alive(worker.pid)).toBe(false);
    });

    test("a death is noticed without asking, and told with its signal", () => {
      const worker = spawn();
      expect(syscall(local.guest.main, SYS_KILL, [worker.pid, SIGKILL])).toBe(0);
      local.wait(() => worker.gone !== undefined);
      expect(worker.gone?.message).toContain("was killed by signal 9 (SIGKILL)");
      expect(refusal(() => syscall(worker, SYS_GETPID)).message).toContain("was killed by signal 9");
    });

    test("a call that ends the worker fails, and the main task lives on", () => {
      const { main } = local.guest;
      const before = syscall(main, SYS_GETPID);
      expect(refusal(() => syscall(spawn(), SYS_EXIT_GROUP, [3])).message).toContain("exited with status 3");
      expect(refusal(() => syscall(spawn(), SYS_KILL, [0, SIGTERM])).message).toContain("signal 15");
      const replaced = spawn();
      const request = {
        nr: SYS_EXECVE,
        args: [0, 0, 0],
        bufs: [bytes("/bin/sleep\0"), new Uint8Array(24), bytes("sleep\0"), bytes("1000\0")],
        ptrs: [0, 1, -1, -1],
        nested: [
          [1, 2, 0],
          [1, 3, 8],
        ] as const,
      };
      expect(refusal(() => local.run(replaced.syscall(request))).message).toContain("replaced itself");
      local.run(replaced.end());
      expect(alive(replaced.pid)).toBe(false);
      expect(syscall(main, SYS_GETPID)).toBe(before);
    });

    test("its commands outlive it", () => {
      const worker = spawn();
      const process = local.run(worker.start({ ...sh("read x; echo $x"), stdinOpen: true }));
      local.run(worker.end());
      local.run(process.stdinWrite(bytes("still here\n")));
      expect(text(local.run(process.wait(Number.POSITIVE_INFINITY))?.stdout ?? bytes(""))).toBe(
        "still here\n",
      );
      local.run(process.close(0));
    });

    test("a start that is given up leaves no worker", () => {
      const before = local.run(local.guest.state());
      const op = local.guest.main.spawnWorker({ thread: false });
      op.next();
      expect(() => op.throw(new Error("stop"))).toThrow("stop");
      local.wait(() => {
        const { tasks, ioFds } = local.run(local.guest.state());
        return tasks === before.tasks && ioFds === before.ioFds;
      });
    });

    test("64 at once all answer, and leave nothing behind", () => {
      const before = local.run(local.guest.state());
      const group = local.run(
        all(Array.from({ length: 64 }, () => local.guest.main.spawnWorker({ thread: false }))),
      );
      const pids = local.run(all(group.map((worker) => call(worker, SYS_GETPID))));
      expect(pids).toEqual(group.map(({ pid }) => pid));
      expect(local.run(local.guest.state()).tasks).toBe(65);
      local.run(all(group.map((worker) => worker.end())));
      const after = local.run(local.guest.state());
      expect([after.tasks, after.ioFds, after.taskFds]).toEqual([before.tasks, before.ioFds, before.taskFds]);
    });

    test("workers in a pid namespace of their own start what others start, but for its process 1", () => {
      const outer = spawn();
      if (syscall(outer, SYS_UNSHARE, [CLONE_NEWPID]) !== 0) return;
      const first = spawn(outer);
      expect([syscall(first, SYS_GETPID), alive(first.pid)]).toEqual([1, true]);
      expect(refusal(() => local.run(first.run(sh("true")))).message).toContain("process 1");
      const second = spawn(outer);
      expect(syscall(second, SYS_GETPID)).toBe(2);
      expect(text(local.run(second.run(sh("echo $$"))).stdout)).toBe("3\n");
      const pending = local.run(
        second.syscallAsync({ nr: SYS_GETPID, args: [], bufs: [], ptrs: [], nested: [] }),
      );
      expect(local.run(pending.wait(Number.POSITIVE_INFINITY))?.ret).toBe(4);
      local.run(local.guest.main.writeFile(local.at("followed"), bytes("abc")));
      const tail = local.run(second.tail(local.at("followed"), { offset: 0 }));
      local.wait(() => tail.pending === 3);
      local.run(tail.close());
      const third = spawn(second);
      expect(syscall(third, SYS_GETPID)).toBe(6);
      expect(text(local.run(third.run(sh("echo here"))).stdout)).toBe("here\n");
      expect(refusal(() => spawn(second, true)).message).toContain("pid namespace");
      local.run(first.end());
      local.wait(() => second.gone !== undefined && third.gone !== undefined);
    });

    test("a raw fork in a worker is no worker", () => {
      const worker = spawn();
      expect(syscall(worker, SYS_FORK)).toBeGreaterThan(0);
      expect(syscall(worker, SYS_GETPID)).toBe(worker.pid);
    });
  });

  describe("threads", () => {
    test("a thread has the task's process id and a thread id of its own", () => {
      const own = syscall(local.guest.main, SYS_GETPID);
      const worker = spawn(local.guest.main, true);
      expect([worker.pid, syscall(worker, SYS_GETPID)]).toEqual([own, own]);
      expect(syscall(worker, SYS_GETTID)).toBe(worker.tid);
      expect(worker.tid).not.toBe(own);
    });

    test("memory and descriptors are shared", () => {
      const { main } = local.guest;
      local.run(main.writeFile(local.at("threads"), bytes("0123456789")));
      const worker = spawn(main, true);
      const fd = local.run(worker.open(local.at("threads"), 1));
      expect(text(local.run(main.read(fd, 4)))).toBe("0123");
      expect(text(local.run(worker.read(fd, 4)))).toBe("4567");
      local.run(main.closeFd(fd));
      expect(refusal(() => local.run(worker.read(fd, 1))).errno).toBe(EBADF);
      const page = syscall(main, SYS_MMAP, [0, 4096, 3, 0x22, -1, 0]);
      expect(page).toBeGreaterThan(0);
      const pipe = local.run(
        worker.syscall({ nr: SYS_PIPE2, args: [0, 0], bufs: [new Uint8Array(8)], ptrs: [0], nested: [] }),
      );
      const ends = new DataView((pipe.out[0] as Uint8Array).slice().buffer);
      local.run(main.write(ends.getInt32(4, true), bytes("through")));
      expect(syscall(worker, SYS_READ, [ends.getInt32(0, true), page, 7])).toBe(7);
      expect(text(local.run(main.readMem(page, 7)))).toBe("through");
      for (const at of [0, 4]) local.run(main.closeFd(ends.getInt32(at, true)));
      expect(syscall(main, SYS_MUNMAP, [page, 4096])).toBe(0);
    });

    test("credentials are a thread's own, and its commands have them", () => {
      const { main } = local.guest;
      if (syscall(main, SYS_GETUID) !== 0) return;
      const worker = spawn(main, true);
      expect(syscall(worker, SYS_SETRESUID, [65534, 65534, 65534])).toBe(0);
      expect([syscall(worker, SYS_GETUID), syscall(main, SYS_GETUID)]).toEqual([65534, 0]);
      expect(text(local.run(worker.run(sh("id -u"))).stdout)).toBe("65534\n");
      expect(text(local.run(main.run(sh("id -u"))).stdout)).toBe("0\n");
    });

    test("a thread waits on a futex until another wakes it", () => {
      const { main } = local.guest;
      const worker = spawn(main, true);
      const page = syscall(main, SYS_MMAP, [0, 4096, 3, 0x22, -1, 0]);
      function* wake(): Op<number> {
        let woken = 0;
        while (woken === 0) woken = yield* call(main, SYS_FUTEX, [page, FUTEX_WAKE, 1]);
        return woken;
      }
      expect(local.run(all([call(worker, SYS_FUTEX, [page, FUTEX_WAIT, 0]), wake()]))).toEqual([0, 1]);
      syscall(main, SYS_MUNMAP, [page, 4096]);
    });

    test("one that is ended leaves the task alone, even out of a call", () => {
      const { main } = local.guest;
      const own = syscall(main, SYS_GETPID);
      const worker = spawn(main, true);
      function* act(): Op<number> {
        yield* worker.end();
        return 0;
      }
      expect(
        refusal(() => local.run(all([call(worker, SYS_NANOSLEEP, [], [seconds(1000)]), act()]))).message,
      ).toContain(`worker ${worker.id}`);
      // The failure of the call has interrupted the first wait for the end.
      local.run(worker.end());
      expect(existsSync(`/proc/${own}/task/${worker.tid}`)).toBe(false);
      expect(syscall(main, SYS_GETPID)).toBe(own);
    });

    test("one that exits by itself is noticed, and the task lives on", () => {
      const { main } = local.guest;
      const own = syscall(main, SYS_GETPID);
      const worker = spawn(main, true);
      expect(refusal(() => syscall(worker, SYS_EXIT, [0])).message).toContain("exited");
      expect(worker.gone).toBeInstanceOf(GuestError);
      expect(syscall(main, SYS_GETPID)).toBe(own);
    });

    test("threads go with their task, a fork of one lives on", () => {
      const { main } = local.guest;
      const thread = spawn(main, true);
      const fork = spawn(thread);
      const inner = spawn(fork, true);
      expect(syscall(inner, SYS_GETPID)).toBe(fork.pid);
      expect(refusal(() => syscall(main, SYS_EXIT_GROUP, [4])).message).toContain(
        "main task exited with status 4",
      );
      local.wait(() => thread.gone !== undefined);
      expect(syscall(fork, SYS_GETPID)).toBe(fork.pid);
      expect(syscall(inner, SYS_GETTID)).toBe(inner.tid);
      expect(syscall(main, SYS_GETPID)).not.toBe(thread.pid);
      local.run(fork.end());
      expect(inner.gone).toBeInstanceOf(GuestError);
    });

    test("64 at once all answer, and leave nothing behind", () => {
      const before = local.run(local.guest.state());
      const group = local.run(
        all(Array.from({ length: 64 }, () => local.guest.main.spawnWorker({ thread: true }))),
      );
      expect(local.run(all(group.map((worker) => call(worker, SYS_GETTID))))).toEqual(
        group.map(({ tid }) => tid),
      );
      for (let round = 0; round < 3; round++)
        for (const { stdout, worker } of local.run(all(group.slice(0, 8).map(runId))))
          expect(text(stdout)).toBe(worker);
      local.run(all(group.map((worker) => worker.end())));
      const now = local.run(local.guest.state());
      expect([now.tasks, now.ioFds, now.taskFds]).toEqual([before.tasks, before.ioFds, before.taskFds]);
    });

    function* runId(worker: WorkerActor): Op<{ stdout: Uint8Array; worker: string }> {
      const { stdout } = yield* worker.run(sh(`echo ${worker.id}`));
      return { stdout, worker: `${worker.id}\n` };
    }
  });
});
