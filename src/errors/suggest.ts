/** "Did you mean": the known word nearest to a misspelt one. */

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
const distance = (a: string, b: string): number => {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    before = above;
    above = row;
  }
  return above[b.length]!;
};

/** The word of `known` that `given` was probably meant to be, or undefined when none is near. */
export const nearest = (given: string, known: Iterable<string>): string | undefined => {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(given.length / 3)) + 1;
  for (const word of known) {
    const apart = distance(given.toLowerCase(), word.toLowerCase());
    // A word of which nothing is left is not the one that was meant.
    if (apart < least && apart < word.length) {
      least = apart;
      best = word;
    }
  }
  return best;
};

/** `did you mean "x"?`, or the known words when none is near. */
export const suggestion = (given: string, known: Iterable<string>): string => {
  const words = [...known];
  const word = nearest(given, words);
  return word === undefined ? `known: ${words.join(", ") || "none"}` : `did you mean "${word}"?`;
};
