import { expect, test } from "bun:test";
import { EventStream } from "../../../src/events/stream.ts";
import { plainPalette } from "../../../src/report/colours.ts";
import { jsonReporter } from "../../../src/report/json.ts";
import { plainReporter } from "../../../src/report/plain.ts";
import type { Reporter } from "../../../src/report/reporter.ts";
import { indent, oneLine, tail } from "../../../src/report/text.ts";

/** What a reporter writes, and what it says beside that, of one run. */
const told = (reporter: Reporter, play: (stream: EventStream) => void): { text: string; notices: string } => {
  const texts: string[] = [];
  const notices: string[] = [];
  const stream = new EventStream();
  stream.subscribe(
    reporter({
      detail: "verbose",
      colour: plainPalette,
      write: (part) => void texts.push(part),
      writeNotice: (part) => void notices.push(part),
    }),
  );
  play(stream);
  return { text: texts.join(""), notices: notices.join("") };
};

// Takes milliseconds; with a pattern that tries every line break anew it would be minutes.
test("a million empty lines in front of a word are shown in no time", () => {
  const text = `${"\n".repeat(1 << 20)}word`;
  expect(indent(text, "| ")).toEndWith("|\n| word");
  expect(tail(text, 1)).toBe(`… ${1 << 20} more line(s) above\nword`);
});

test("empty lines at the end are left out", () => {
  expect(indent("a\n\nb\n\n\n", "| ")).toBe("| a\n|\n| b");
  expect(indent("\n\n", "| ")).toBe("|");
  expect(tail("a\nb\n\n", 1)).toBe("… 1 more line(s) above\nb");
});

test("names and reasons cannot pretend to be lines of the report", () => {
  expect(oneLine("a\r\nPASS b")).toBe("a PASS b");
  const { text } = told(plainReporter, ({ emit }) => {
    const path = "x\nPASS y.lua";
    emit("file_discovered", { path, dialect: "lab", fixture_refs: [] });
    emit("test_skipped", { path, name: "t", reason: "no\nPASS z.lua", meta: {}, log: [] });
    emit("file_completed", { path, status: "passed", duration_ns: 1 });
  });
  expect(text).toBe("PASS x PASS y.lua (0 passed, 0 failed, 1 skipped)\n    SKIP t (no PASS z.lua)\n");
});

test("a notice of the JSON report holds no escape sequences", () => {
  const { notices } = told(jsonReporter, ({ emit }) =>
    emit("notice", { level: "warning", text: "a.lua: clean-up failed: \u001b]52;c;ZXZpbA==\u0007" }),
  );
  expect(notices).toBe("provium: warning: a.lua: clean-up failed: \\e]52;c;ZXZpbA==\\a\n");
});
