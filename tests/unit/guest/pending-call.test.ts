import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { GuestError } from "../../../src/errors/errors.ts";
import type { Actor, PendingCall, SyscallRequest } from "../../../src/lab/ports.ts";
import { after, NEVER } from "../../../src/sys/op.ts";
import { bytes, text } from "./fake-agent.ts";
import { AGENT_BUILT, LocalGuest } from "./local-guest.ts";

const SYS_READ = 0;
const SYS_PAUSE = 34;
const SYS_GETPID = 39;
const SYS_EXIT = 60;
const SYS_KILL = 62;
const SYS_OPEN = 2;
const SYS_CHDIR = 80;
const SYS_PIPE2 = 293;
const EFAULT = 14;
const SIGUSR1 = 10;

const request = (nr: number, args: readonly number[] = [], bufs: Uint8Array[] = [], ptrs: number[] = []) =>
  ({ nr, args, bufs, ptrs, nested: [] }) satisfies SyscallRequest;

describe.skipIf(!AGENT_BUILT)("system calls under way", () => {
  let local: LocalGuest;
  let main: Actor;
  beforeAll(() => {
    local = new LocalGuest();
    main = local.guest.main;
  });
  afterAll(() => local.close());

  const begin = (wanted: SyscallRequest, actor = main): PendingCall => local.run(actor.syscallAsync(wanted));
  const pipe = (): [number, number] => {
    const { out } = local.run(main.syscall(request(SYS_PIPE2, [0, 0], [new Uint8Array(8)], [0])));
    const fds = new DataView((out[0] as Uint8Array).slice().buffer);
    return [fds.getInt32(0, true), fds.getInt32(4, true)];
  };
  const closeAll = (fds: readonly number[]): void => {
    for (const fd of fds) local.run(main.closeFd(fd));
  };
  const failure = (act: () => unknown): string => {
    try {
      act();
    } catch (error) {
      if (error instanceof GuestError) return error.message;
      throw error;
    }
    throw new Error("it did not fail");
  };

  test("one blocks while the task goes on, and returns what the task brings about", () => {
    const fds = pipe();
    const call = begin(request(SYS_READ, [fds[0], 0, 16], [new Uint8Array(16)], [1]));
    expect(call.done).toBe(false);
    expect(local.run(call.wait(after(20)))).toBeUndefined();
    expect(local.run(main.write(fds[1], bytes("wake up")))).toBe(7);
    const result = local.run(call.wait(NEVER));
    expect([result?.ret, text(result?.out[0]?.subarray(0, 7) ?? bytes(""))]).toEqual([7, "wake up"]);
    expect(call.done).toBe(true);
    expect(local.run(call.wait(after(0)))).toEqual(result);
    local.run(call.cancel());
    closeAll(fds);
  });

  test("what it opens and where it goes is the task's, and its process id is not", () => {
    const own = Number(local.run(main.syscall(request(SYS_GETPID))).ret);
    const call = begin(request(SYS_GETPID));
    expect(local.run(call.wait(NEVER))?.ret).toBe(call.pid);
    expect(call.pid).not.toBe(own);
    const opened = local.run(begin(request(SYS_OPEN, [0, 0, 0], [bytes("/proc/uptime\0")], [0])).wait(NEVER));
    expect(local.run(main.read(opened?.ret ?? -1, 100)).byteLength).toBeGreaterThan(3);
    closeAll([Number(opened?.ret)]);
    local.run(begin(request(SYS_CHDIR, [0], [bytes("/proc\0")], [0])).wait(NEVER));
    expect(local.run(main.readFile(bytes("uptime"))).byteLength).toBeGreaterThan(3);
    local.run(main.syscall(request(SYS_CHDIR, [0], [bytes("/\0")], [0])));
  });

  test("the kernel's refusal is a result, a request without sense is an error", () => {
    expect(local.run(begin(request(SYS_READ, [0, 1, 4096])).wait(NEVER))?.ret).toBeOneOf([0, -EFAULT]);
    expect(local.run(begin(request(SYS_PIPE2, [1, 0])).wait(NEVER))?.ret).toBe(-EFAULT);
    expect(failure(() => begin(request(SYS_READ, [0], [bytes("x")], [9])))).toContain("between -1 and 5");
  });

  test("megabytes of buffers come back", () => {
    const data = new Uint8Array(12 * 1024 * 1024).map((_, i) => (i * 11 + (i >> 10)) & 255);
    const result = local.run(begin(request(SYS_GETPID, [], [data], [-1])).wait(NEVER));
    expect(Buffer.compare(result?.out[0] ?? new Uint8Array(0), data)).toBe(0);
  });

  test("one that never returns is cancelled, and its process is gone", () => {
    const call = begin(request(SYS_PAUSE));
    local.run(call.cancel());
    expect(existsSync(`/proc/${call.pid}`)).toBe(false);
    expect([call.done, failure(() => local.run(call.wait(NEVER)))]).toEqual([
      true,
      `syscall ${SYS_PAUSE}: the call was cancelled`,
    ]);
  });

  test("one whose process ends under it says how", () => {
    const killed = begin(request(SYS_PAUSE));
    local.run(main.syscall(request(SYS_KILL, [killed.pid, SIGUSR1])));
    expect(failure(() => local.run(killed.wait(NEVER)))).toContain(`was killed by signal ${SIGUSR1}`);
    expect(failure(() => local.run(begin(request(SYS_EXIT, [5])).wait(NEVER)))).toContain(
      "exited with status 5",
    );
    const own = Number(local.run(main.syscall(request(SYS_GETPID))).ret);
    expect(existsSync(`/proc/${own}`)).toBe(true);
  });

  test("a worker makes them too, with its own descriptors", () => {
    const worker = local.run(main.spawnWorker({ thread: false }));
    const fd = local.run(worker.open(bytes("/proc/self/stat"), 1));
    const result = local.run(
      begin(request(SYS_READ, [fd, 0, 64], [new Uint8Array(64)], [1]), worker).wait(NEVER),
    );
    expect(text(result?.out[0] ?? bytes(""))).toStartWith(`${worker.pid} (`);
    const waiting = begin(request(SYS_PAUSE), worker);
    local.run(worker.end());
    expect(existsSync(`/proc/${waiting.pid}`)).toBe(true);
    local.run(waiting.cancel());
  });

  test("many at once, ended either way, leave nothing behind", () => {
    const before = local.run(local.guest.state());
    for (let round = 0; round < 4; round++) {
      const fds = pipe();
      const reads = Array.from({ length: 16 }, () =>
        begin(request(SYS_READ, [fds[0], 0, 1], [new Uint8Array(1)], [1])),
      );
      local.run(main.write(fds[1], bytes("12345678")));
      local.wait(() => reads.filter(({ done }) => done).length === 8);
      for (const read of reads) local.run(read.cancel());
      closeAll(fds);
    }
    local.wait(() => {
      const now = local.run(local.guest.state());
      return (
        now.processes === before.processes && now.ioFds === before.ioFds && now.taskFds === before.taskFds
      );
    });
  });
});
