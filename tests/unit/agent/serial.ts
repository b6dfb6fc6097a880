/** Sessions over a serial port: they begin with SYNC, and the port outlives them. */

import { expect } from "bun:test";
import { MESSAGES, SYNC_PREAMBLE } from "../../../src/guest/messages.ts";
import { type AgentClient, frameOf, number, withAgent } from "./client.ts";

export const preamble = Buffer.from(SYNC_PREAMBLE);
export const syncFrame = (nonce: number) =>
  Buffer.concat([preamble, frameOf(MESSAGES.SYNC.kind, 0, 0, [1, nonce])]);

/** Gives the client only what follows the READY of each session, with the preamble taken out. */
function strip(agent: AgentClient): void {
  let held = Buffer.alloc(0);
  let greeted = false;
  agent.onBytes = (chunk) => {
    held = Buffer.concat([held, chunk]);
    const at = held.lastIndexOf(preamble);
    if (at >= 0) {
      greeted = true;
      const rest = held.subarray(at + preamble.length);
      held = Buffer.alloc(0);
      return rest;
    }
    if (!greeted) return Buffer.alloc(0);
    const rest = held;
    held = Buffer.alloc(0);
    return rest;
  };
}

export const withSerial = (body: (agent: AgentClient) => Promise<void>): Promise<void> =>
  withAgent(async (agent) => {
    strip(agent);
    await body(agent);
  }, "--serial-fd");

export const readies = (agent: AgentClient): number[] =>
  agent.pushed
    .filter((frame) => frame.kind === MESSAGES.READY.kind)
    .map((frame) => number(frame.fields.nonce));

/** Begins a session; the one before is over then. */
export async function sync(
  agent: AgentClient,
  nonce: number,
  before: Uint8Array = Buffer.alloc(0),
): Promise<void> {
  agent.write(Buffer.concat([before, syncFrame(nonce)]));
  await agent.until(() => agent.closed || readies(agent).includes(nonce));
  expect(readies(agent)).toContain(nonce);
}
