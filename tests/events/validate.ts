/** `bun tests/events/validate.ts FILE…`: checks recordings of whole runs; says what is wrong and exits with 1. */

import { readRecording } from "../../src/events/recording.ts";
import type { ProviumEvent } from "../../src/events/types.ts";
import { orderProblems } from "./order.ts";
import { schemaProblems } from "./schema.ts";

/** Problems of one recording, the first few in words. */
const problemsOf = (path: string): { events: number; problems: string[] } => {
  const events: ProviumEvent[] = [];
  const whole = readRecording(path, (event) => events.push(event));
  const problems = events.flatMap((event, i) =>
    schemaProblems(event).map((problem) => `event ${i + 1}: ${problem}`),
  );
  if (!whole) problems.push("the last frame is cut off");
  return { events: events.length, problems: [...problems, ...orderProblems(events)] };
};

const SHOWN = 20;

for (const path of process.argv.slice(2)) {
  const { events, problems } = problemsOf(path);
  console.log(`${path}: ${events} events, ${problems.length} problem(s)`);
  for (const problem of problems.slice(0, SHOWN)) console.log(`  ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
}
