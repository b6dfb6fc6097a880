/** What reporters do with a text before they print it, however long it is: nothing in it acts on a terminal. */

import { indent, oneLine, tail, visible } from "../../../src/report/text.ts";
import { must, stretched, type Target } from "../target.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
export const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;

export const text: Target = {
  name: "text",
  source: import.meta.file,
  seeds: ["\u001b[2J\u0007\r\nb\n\n", "\n×b\n×", "a\u202eb\u2028", "\t×\u0000×"],
  words: ["×", "\n", "\r", "\u001b]0;", "\u009b", "\u0085", "\u2029", "\u2069", "\ud83d\ude00", "│"],
  run: (input) => {
    const shown = visible(stretched(new TextDecoder().decode(input)));
    must(!CONTROL.test(shown), "no control character is left");
    must(visible(shown) === shown, "what is visible stays as it is");
    must(!/[\t\n]/.test(oneLine(shown)), "one line is one line");
    const lines = indent(shown, "| ").split("\n");
    must(
      lines.every((line) => line.startsWith("|")) && !lines.at(-1)?.endsWith("\n"),
      "a margin before each line",
    );
    must(tail(shown, 3).split("\n").length <= 4, "a tail is no longer than asked for");
  },
};
