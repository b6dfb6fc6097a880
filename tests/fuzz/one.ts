/**
 * One target in TypeScript: `bun tests/fuzz/one.ts NAME SECONDS [SEED]`. Feeds it the seeds, then what becomes of them.
 * A finding (an exception, or more than SLOW_MS) is made short, kept in build/fuzz/findings and ends the run with 1.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { generator, mutate, reduce } from "./mutate.ts";
import { bytesOf, type Target } from "./target.ts";
import { TARGETS } from "./ts/targets.ts";

/** More than this for one input of at most 64 KiB is a hang in the making. */
const SLOW_MS = 2_000;
/** Inputs that are kept to start from, beside the seeds. */
const KEPT = 512;

const failure = (target: Target, input: Uint8Array): Error | undefined => {
  const started = performance.now();
  try {
    target.run(input);
  } catch (error) {
    return error as Error;
  }
  const took = performance.now() - started;
  return took > SLOW_MS ? new Error(`took ${took.toFixed(0)} ms`) : undefined;
};

const found = (target: Target, input: Uint8Array, error: Error): never => {
  const first = error.message.split("\n")[0];
  const short = reduce(input, (shorter) => failure(target, shorter)?.message.split("\n")[0] === first);
  mkdirSync("build/fuzz/findings", { recursive: true });
  const path = `build/fuzz/findings/${target.name}-${Bun.hash.xxHash32(short).toString(16)}`;
  writeFileSync(path, short);
  console.error(`${target.name}: FINDING in ${path} (${short.byteLength} bytes)\n${error.stack}`);
  process.exit(1);
};

const [name = "", seconds = "10", seed = String(Math.floor(Math.random() * 2 ** 32))] = process.argv.slice(2);
const target = TARGETS.find((one) => one.name === name);
if (target === undefined) {
  console.error(`unknown target ${name} (known: ${TARGETS.map((one) => one.name).join(", ")})`);
  process.exit(2);
}
const seeds = target.seeds.map(bytesOf);
const words = target.words.map(bytesOf);
const pool = [...seeds];
const random = generator(Number(seed));
const end = performance.now() + Number(seconds) * 1000;
let runs = 0;
const feed = (input: Uint8Array): void => {
  runs++;
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
console.log(`${name}: ${runs} inputs, no finding (seed ${seed})`);
