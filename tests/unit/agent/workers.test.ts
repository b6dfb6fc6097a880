import { describe, expect, test } from "bun:test";
import { MESSAGES } from "../../../src/guest/messages.ts";
import { type AgentClient, bytes, frameOf, number, withAgent } from "./client.ts";
import { runs } from "./runs.ts";

const GETPID = 39;
const PAUSE = 34;

const gone = (agent: AgentClient) => agent.pushed.filter(({ kind }) => kind === MESSAGES.TASK_GONE.kind);

describe("workers on the wire", () => {
  test("a session that ends takes its workers, threads and pending calls along, and the agent ends clean", async () => {
    const pids: number[] = [];
    await withAgent(async (agent) => {
      for (let worker = 2; worker < 10; worker++) {
        const started = await agent.call("SPAWN_WORKER", { worker, thread: worker % 2 === 0 });
        expect(number(started.worker)).toBe(worker);
        pids.push(number(started.pid));
      }
      const call = { nr: PAUSE, args: [], bufs: [], ptrs: [], nested: [], window: 1024 };
      pids.push(number((await agent.call("SYSCALL_START", { process: 100, ...call })).pid));
      const tail = { process: 101, path: bytes("/proc/self/stat"), fd: -1, start: 0, from_end: false };
      pids.push(number((await agent.call("TAIL_START", { ...tail, window: 1024 })).pid));
      // One worker of each kind sits in a call when the session ends.
      const stuck = [MESSAGES.SYSCALL.kind, [PAUSE, [], [], [], []]] as const;
      agent.write(frameOf(stuck[0], 2, 5000, stuck[1]));
      agent.write(frameOf(stuck[0], 3, 5001, stuck[1]));
    });
    const deadline = performance.now() + 10_000;
    while (pids.some(runs) && performance.now() < deadline) await Bun.sleep(2);
    expect(pids.filter(runs)).toEqual([]);
  });

  test("numbers that are no worker's, or in use, are refused", () =>
    withAgent(async (agent) => {
      for (const worker of [-1, 0, 1])
        expect((await agent.refused("SPAWN_WORKER", { worker, thread: false })).reason).toContain(
          "no number",
        );
      await agent.call("SPAWN_WORKER", { worker: 2, thread: false });
      expect((await agent.refused("SPAWN_WORKER", { worker: 2, thread: true })).reason).toContain("in use");
      expect((await agent.refused("WORKER_END", { worker: 1 })).reason).toContain("no worker");
      await agent.call("WORKER_END", { worker: 2 });
      await agent.call("WORKER_END", { worker: 2 });
      await agent.call("SPAWN_WORKER", { worker: 2, thread: true });
      await agent.call("WORKER_END", { worker: 2 });
    }));

  test("the end of a worker by order is not told as a death, any other end is", () =>
    withAgent(async (agent) => {
      await agent.call("SPAWN_WORKER", { worker: 2, thread: false });
      const { pid } = await agent.call("SPAWN_WORKER", { worker: 3, thread: false });
      await agent.call("WORKER_END", { worker: 2 });
      process.kill(number(pid), "SIGKILL");
      await agent.until(() => gone(agent).length > 0);
      expect(gone(agent).map(({ fields }) => [fields.actor, fields.how, fields.code])).toEqual([[3, 1, 9]]);
      await agent.call("WORKER_END", { worker: 3 });
      expect(number((await agent.syscall(GETPID)).ret)).toBeGreaterThan(0);
    }));

  test("100 rounds of spawning and ending leave the agent as it was", () =>
    withAgent(async (agent) => {
      await agent.call("SPAWN_WORKER", { worker: 2, thread: true });
      await agent.call("WORKER_END", { worker: 2 });
      const before = await agent.call("STATE");
      for (let worker = 3; worker < 103; worker++) {
        await agent.call("SPAWN_WORKER", { worker, thread: worker % 2 === 0 });
        await agent.call("WORKER_END", { worker });
      }
      const now = await agent.call("STATE");
      const counts = (state: typeof now) => [state.tasks, state.io_fds, state.task_fds, state.processes];
      expect(counts(now)).toEqual(counts(before));
    }));
});
