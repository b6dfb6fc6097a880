import { describe, expect, test } from "bun:test";
import { jobOf, run } from "./harness.ts";

const DRAW = `print(math.random(1 << 60))`;
const FILE = `${DRAW}
test("first", function() ${DRAW} ${DRAW} end)
${DRAW}
test("second", function() ${DRAW} end)
`;

const drawn = (text: string, dialect: "lab" | "classic", names: string[] = [], seed = 7): string[] => {
  const { filter } = jobOf("", "", "");
  const recording = run(text, { dialect, job: { seed, filter: { ...filter, names } } });
  return recording.printed.trim().split("\n");
};

describe.each(["lab", "classic"] as const)("math.random of a %s file", (dialect) => {
  test("repeats with the seed", () => {
    expect(drawn(FILE, dialect)).toEqual(drawn(FILE, dialect));
    expect(new Set([...drawn(FILE, dialect), ...drawn(FILE, dialect, [], 8)]).size).toBe(10);
  });

  test("draws in a test that is run alone what it drew among the others", () => {
    const all = drawn(FILE, dialect);
    const inFirst = dialect === "lab" ? [2, 3] : [1, 2];
    expect(drawn(FILE, dialect, ["second"])).toEqual(all.filter((_, i) => !inFirst.includes(i)));
  });

  test("goes the file's own way once the file has chosen a seed", () => {
    const chosen = (text: string) => drawn(`math.randomseed(42)\n${text}`, dialect);
    const plain = chosen(Array(5).fill(DRAW).join("\n"));
    expect(chosen(FILE)).toEqual(plain);
    expect(plain).not.toEqual(drawn(FILE, dialect));
  });
});
