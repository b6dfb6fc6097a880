/** What a guest prints as the result of its tests: as many results as there are lines of results. */

import { ktapResults } from "../../../src/runner/ktap.ts";
import { must, stretched, type Target } from "../target.ts";

const RESULT = /^\s*(\[\s*\d+\.\d+\]\s*)?(not )?ok\b/;

export const ktap: Target = {
  name: "ktap",
  source: import.meta.file,
  seeds: [
    "TAP version 14\n1..2\nok 1 - adds\nnot ok 2 - subtracts # TODO later\n",
    "[   12.345] KTAP version 1\n    # Subtest: a\n    1..1\n    ok 1 a_case # SKIP no device\n[12.4] not ok 1 - a",
    "ok\nok 3\nnot ok # XFAIL: known\r\nok 4 - a # b # timeout",
    "ok 1 - a ×b",
    "ok # SKIP ×a×\u2028",
  ],
  words: [
    "×",
    "ok ",
    "not ok ",
    "# SKIP",
    "#",
    " - ",
    "\n",
    "\r",
    "\t",
    "[ 1.5] ",
    "1..3",
    "\u2028",
    "TODO:",
    "12",
  ],
  run: (input) => {
    const text = stretched(new TextDecoder().decode(input));
    const results = ktapResults(text);
    const lines = text.split(/\r?\n/).filter((line) => RESULT.test(line));
    must(results.length === lines.length, "a result for each line of one");
    for (const [i, { name, outcome }] of results.entries()) {
      must(name !== "" && name === name.trim(), "every result has a name");
      must(
        outcome !== "passed" || !/^[\s\d.[\]]*not /.test(lines[i] as string),
        "what is not ok has not passed",
      );
    }
  },
};
