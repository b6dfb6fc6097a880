/**
 * One target in TypeScript: `bun tests/fuzz/one.ts NAME SECONDS [SEED]`. Feeds it the seeds, then what becomes of them.
 * A finding (an exception, or more than SLOW_MS) is made short, kept in build/fuzz/findings and ends the run with 1.
 */

import { generator, LARGEST, mutate, reduce } from "./mutate.ts";
import { Desk, keep } from "./patience.ts";
import { bytesOf, type Target } from "./target.ts";
import { TARGETS } from "./ts/targets.ts";

/** More than this of the processor's time for one input of at most 64 KiB is a hang in the making. */
const SLOW_MS = 2_000;
/** Inputs that are kept to start from, beside the seeds. */
const KEPT = 512;

/** Is not made short: every attempt would take as long. */
class Slow extends Error {}

const outcome = (target: Target, input: Uint8Array): Error | undefined => {
  try {
    target.run(input);
    return undefined;
  } catch (error) {
    return error as Error;
  }
};

/** Time that this thread was given a processor for: a busy machine does not make it longer. */
const processorMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

const failure = (target: Target, input: Uint8Array): Error | undefined => {
  const started = performance.now();
  const error = outcome(target, input);
  if (error !== undefined || performance.now() - started <= SLOW_MS) return error;
  // By the clock on the wall. The same once more by the processor's, which would cost too much for every input.
  const before = processorMs();
  outcome(target, input);
  return processorMs() - before > SLOW_MS ? new Slow(`takes more than ${SLOW_MS} ms`) : undefined;
};

const found = (target: Target, input: Uint8Array, error: Error): never => {
  watch.terminate();
  const first = error.message.split("\n")[0];
  const fails = (shorter: Uint8Array): boolean => outcome(target, shorter)?.message.split("\n")[0] === first;
  const short = error instanceof Slow ? input : reduce(input, fails);
  const path = keep(target.name, short);
  console.error(`${target.name}: FINDING in ${path} (${short.byteLength} bytes)\n${error.stack}`);
  process.exit(1);
};

const [name = "", seconds = "10", seed = String(Math.floor(Math.random() * 2 ** 32))] = process.argv.slice(2);
const target = TARGETS.find((one) => one.name === name);
if (target === undefined) {
  console.error(`unknown target ${name} (known: ${TARGETS.map((one) => one.name).join(", ")})`);
  process.exit(2);
}
const desk = new Desk(new SharedArrayBuffer(8 + LARGEST));
const watch = new Worker(new URL("./patience.ts", import.meta.url));
watch.postMessage({ name, memory: desk.memory });
const seeds = target.seeds.map(bytesOf);
const words = target.words.map(bytesOf);
const pool = [...seeds];
const random = generator(Number(seed));
const end = performance.now() + Number(seconds) * 1000;
let runs = 0;
const feed = (input: Uint8Array): void => {
  runs++;
  desk.put(input);
  const error = failure(target, input);
  if (error !== undefined) found(target, input, error);
};
for (const input of seeds) feed(input);
while (performance.now() < end)
  for (let i = 0; i < 100; i++) {
    const input = mutate(pool[Math.floor(random() * pool.length)] as Uint8Array, pool, words, random);
    feed(input);
    // What has survived is a start for more; the pool forgets at random, never the seeds.
    if (random() < 0.05) {
      const place =
        pool.length < seeds.length + KEPT ? pool.length : seeds.length + Math.floor(random() * KEPT);
      pool[place] = input;
    }
  }
watch.terminate();
// As libFuzzer says it.
console.log(`seed: ${seed}\nnumber_of_executed_units: ${runs}`);
