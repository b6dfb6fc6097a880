/** The command that repeats one file or one test of a run. */

import type { FileRecord, RunInfo, TestRecord } from "./record.ts";

/** A word as a shell takes it. */
const quoted = (word: string): string =>
  /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** A path that is not taken for a flag. */
const pathWord = (path: string): string => (path.startsWith("-") ? `./${path}` : path);

/** The test itself, or the one that it is a part of. A recording from elsewhere may lead in a circle. */
const wholeTest = (file: FileRecord, test: TestRecord): string => {
  const parents = new Map(file.tests.map(({ name, parent }) => [name, parent]));
  let name = test.name;
  for (let parent = test.parent; parent !== undefined && parents.delete(name); parent = parents.get(parent))
    name = parent;
  return name;
};

/** One line; undefined when the stream does not say how it was made. */
export const rerunCommand = (
  info: RunInfo | undefined,
  file: FileRecord,
  test?: TestRecord,
): string | undefined => {
  if (info === undefined || info.rerun.length === 0) return undefined;
  const words = info.rerun.map((word) =>
    word === "{file}" ? pathWord(file.location) : word === "{path}" ? pathWord(file.path) : word,
  );
  const seed = file.seed ?? info.seed;
  if (seed !== undefined) words.push("--seed", seed);
  // What it drew depends on which repetition it was.
  const turn = / #(\d+)$/.exec(file.path)?.[1];
  if (turn !== undefined) words.push("--repeat", turn);
  if (test !== undefined) {
    const name = wholeTest(file, test);
    // A value that begins like a flag has to stand in one word with it.
    words.push(...(name.startsWith("-") ? [`--test=${name}`] : ["--test", name]));
  }
  return words.map(quoted).join(" ");
};
