import { expect, test } from "bun:test";
import { plainPalette } from "../../../src/report/colours.ts";
import { renderDifference } from "../../../src/report/difference.ts";
import { renderFailure } from "../../../src/report/failure.ts";

const lines = (left: string, right: string): readonly string[] =>
  renderDifference({ left_name: "expected", left, right_name: "actual", right }, plainPalette);

test("what the message shows already is not shown again", () => {
  expect(lines("1", "2")).toEqual([]);
});

test("of long lines the place is marked where they part", () => {
  const same = "s".repeat(100);
  const shown = lines(`"${same}a"`, `"${same}b"`);
  expect(shown).toHaveLength(4);
  const at = shown[3]?.indexOf("^") ?? -1;
  expect([shown[1]?.[at], shown[2]?.[at]]).toEqual(["a", "b"]);
});

test("of many lines only what surrounds a change is shown", () => {
  const text = Array.from({ length: 100 }, (_, i) => `line ${i}`).join("\n");
  const shown = lines(text, text.replace("line 50", "line fifty"));
  expect(shown).toContain("- line 50");
  expect(shown).toContain("+ line fifty");
  expect(shown.length).toBeLessThan(15);
});

test("a line break at the end is told where only one has it", () => {
  expect(lines("a\nb\n", "a\nb").join("\n")).toContain("No newline at end of file");
  expect(lines("a\nb", "a\nc").join("\n")).not.toContain("No newline");
});

test("two tables that print the same are explained", () => {
  expect(lines("{\n  1,\n}", "{\n  1,\n}").join()).toContain("tables are equal when they are one table");
});

test("values that have nothing in common are cut and take no time", () => {
  const left = Array.from({ length: 20_000 }, (_, i) => `l${i}`).join("\n");
  const right = Array.from({ length: 20_000 }, (_, i) => `r${i}`).join("\n");
  expect(lines(left, right).length).toBeLessThan(130);
});

test("the mark stands below the call also behind tabs and wide characters", () => {
  const text = renderFailure(
    {
      message: "f.lua:1: no",
      detail: { file: "f.lua", line: 1, excerpt: { first_line: 1, lines: ["\tx日 = f()"], column: 7 } },
      consoleExcerpt: "",
      log: [],
    },
    "",
    plainPalette,
  );
  const [, source, mark] = text.split("\n") as [string, string, string];
  const column = Bun.stringWidth(mark.slice(0, mark.indexOf("^")).replace("\t", ""));
  expect(Bun.stringWidth(source.slice(0, source.indexOf("f()")).replace("\t", ""))).toBe(column);
});
