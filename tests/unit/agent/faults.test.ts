import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { MESSAGES } from "../../../src/guest/messages.ts";
import { bytes, number, text, withAgent } from "./client.ts";

setDefaultTimeout(30_000);

/** x86-64 and arm64 number their calls differently. */
const NR =
  process.arch === "x64" ? { write: 1, close: 3, getpid: 39 } : { write: 64, close: 57, getpid: 172 };

/** The descriptors that the task keeps for the agent, in their order. */
const BELL = 900;
const ANSWER = 901;
const PASSAGE = 902;

describe("a task that meddles with the agent's descriptors", () => {
  test("it cannot ring its own bell", () =>
    withAgent(async (agent) => {
      const most = Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
      expect(number((await agent.syscall(NR.write, [BELL, 0, 8], [most], [1])).ret)).toBe(-9);
      expect((await agent.syscall(NR.getpid)).out).toEqual([]);
      expect(text((await agent.call("ECHO", { data: bytes("awake") })).data)).toBe("awake");
    }));

  test("an answer that it announces too early is not taken", () =>
    withAgent(async (agent) => {
      const one = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
      for (let i = 0; i < 20; i++) {
        const early = agent.syscall(NR.write, [ANSWER, 0, 8], [one], [1]);
        const next = agent.syscall(NR.getpid);
        expect(number((await early).ret)).toBe(8);
        expect((await next).out).toEqual([]);
      }
    }));

  test("one that closes the way of the pipes ends, and the next request gets a fresh task", () =>
    withAgent(async (agent) => {
      const task = number((await agent.ready()).task_pid);
      await agent.syscall(NR.close, [PASSAGE]);
      await agent.until(() => agent.pushed.some((frame) => frame.kind === MESSAGES.TASK_GONE.kind));
      expect(number((await agent.syscall(NR.getpid)).ret)).not.toBe(task);
      while (existsSync(`/proc/${task}`)) await agent.call("STATE");
    }));
});
