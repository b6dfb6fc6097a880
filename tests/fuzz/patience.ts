/**
 * A thread beside a target in TypeScript, which nothing could interrupt: when the processor has spent PATIENCE_MS on one
 * input, that is kept as a finding, and the process ends.
 */

import { mkdirSync, writeFileSync, writeSync } from "node:fs";

const PATIENCE_MS = 20_000;
const LOOK_MS = 1_000;
const FINDINGS = "build/fuzz/findings";

/** The input at hand, for both threads: how many there have been, its length, its bytes. */
export class Desk {
  private readonly head: Int32Array;
  private readonly bytes: Uint8Array;

  constructor(readonly memory: SharedArrayBuffer) {
    this.head = new Int32Array(memory, 0, 2);
    this.bytes = new Uint8Array(memory, 8);
  }

  put(input: Uint8Array): void {
    this.bytes.set(input.subarray(0, this.bytes.byteLength));
    Atomics.store(this.head, 1, input.byteLength);
    Atomics.add(this.head, 0, 1);
  }

  get count(): number {
    return Atomics.load(this.head, 0);
  }

  get input(): Uint8Array {
    return this.bytes.slice(0, Atomics.load(this.head, 1));
  }
}

/** Keeps an input in the directory of findings; returns where. */
export const keep = (name: string, input: Uint8Array): string => {
  mkdirSync(FINDINGS, { recursive: true });
  const path = `${FINDINGS}/${name}-${Bun.hash.xxHash32(input).toString(16)}`;
  writeFileSync(path, input);
  return path;
};

const processorMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

const watch = (name: string, desk: Desk): void => {
  let seen = -1;
  let since = 0;
  setInterval(() => {
    if (desk.count !== seen) {
      seen = desk.count;
      since = processorMs();
    } else if (processorMs() - since > PATIENCE_MS) {
      const path = keep(name, desk.input);
      writeSync(2, `${name}: FINDING in ${path}: does not end\n`);
      process.kill(process.pid, "SIGKILL");
    }
  }, LOOK_MS);
};

declare const self: Worker;
if (!Bun.isMainThread)
  self.onmessage = ({ data }: MessageEvent<{ name: string; memory: SharedArrayBuffer }>) =>
    watch(data.name, new Desk(data.memory));
