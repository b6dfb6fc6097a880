import { expect, test } from "bun:test";
import { join } from "node:path";
import { readRecording } from "../../../src/events/recording.ts";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { plainPalette } from "../../../src/report/colours.ts";
import { LiveView, viewLines } from "../../../src/report/live.ts";
import { plainReporter } from "../../../src/report/plain.ts";
import { Progress } from "../../../src/report/progress.ts";
import { replay } from "../../golden/reports/replay.ts";
import { TestScreen } from "./screen.ts";

const events: ProviumEvent[] = [];
readRecording(join(import.meta.dir, "../../golden/reports/story.events"), (event) => events.push(event));

/** The story up to and with the first event for which `stop` holds. */
const until = (stop: (event: ProviumEvent) => boolean): Progress => {
  const progress = new Progress();
  for (const event of events) {
    progress.consume(event);
    if (stop(event)) break;
  }
  return progress;
};

const began = events[0]?.ts as bigint;
const at = (seconds: number): bigint => began + BigInt(seconds * 1e9);

test("the view tells files, pool, running tests, machines and who waits why", () => {
  const progress = until(({ kind }) => kind === "test_started");
  expect(viewLines(progress, at(65), 100, 24, plainPalette)).toEqual([
    "0/6 files, 1:05",
    "memory [#.........] 1.0/8.0 GiB, cpus 2/4",
    "  a.test.lua (1:04, 1 vm) > adds",
    "  net/b.test.lua (1:04)",
    "  4 waiting (1 pool full)",
  ]);
});

test("what is left is told from what files took before", () => {
  const progress = until(({ kind }) => kind === "file_completed");
  const [first] = viewLines(progress, at(2), 100, 24, plainPalette);
  expect(first).toMatch(/^1\/6 files, 2 s, about \d+ s left$/);
});

test("no line of the view fills a row, however narrow the terminal", () => {
  const progress = until(({ kind }) => kind === "test_failed");
  for (const columns of [1, 2, 5, 20, 40])
    for (const line of viewLines(progress, at(3), columns, 24, plainPalette))
      expect(Bun.stringWidth(line)).toBeLessThan(Math.max(2, columns));
});

test("wide characters and tabs in names leave each line in one row", () => {
  const progress = until(({ kind }) => kind === "test_started");
  progress.consume({
    ...{ ts: at(1), kind: "test_started" },
    payload: { path: "a.test.lua", name: `\t${"\u{1f600}".repeat(40)}`, meta: {} },
  });
  for (const columns of [2, 3, 40, 41]) {
    const rows = viewLines(progress, at(3), columns, 24, plainPalette);
    expect(rows.join("")).not.toContain("\t");
    for (const row of rows) expect(Bun.stringWidth(row)).toBeLessThan(columns);
  }
});

test("of many running files the view shows as many as a third of the screen holds", () => {
  const progress = until(({ kind }) => kind === "stream_started");
  for (let i = 0; i < 100; i++)
    progress.consume({
      ts: began,
      kind: "file_dispatched",
      payload: { path: `f${i}`, reservation: { memory_bytes: 1, cpus: 0 } },
    });
  expect(viewLines(progress, at(1), 80, 24, plainPalette)).toHaveLength(9);
  expect(viewLines(progress, at(1), 80, 3, plainPalette).length).toBeLessThanOrEqual(3);
});

/** Plays the story on a screen with a view; `meanwhile` sees each event go by. */
const play = async (
  screen: TestScreen,
  meanwhile: (i: number) => Promise<void> = async () => {},
): Promise<void> => {
  const progress = new Progress();
  const view = new LiveView(progress, screen, plainPalette);
  const print = (text: string): void => view.print(text);
  const report = plainReporter({ detail: "normal", colour: plainPalette, write: print, writeNotice: print });
  for (const [i, event] of events.entries()) {
    progress.consume(event);
    report(event);
    // A repaint as the timer would do it.
    view.print("");
    await meanwhile(i);
  }
  view.close();
};

const expected = replay("plain.txt", events).replaceAll("\t", "        ").split("\n");

/** Tabs go to the next stop, so only their presence is compared. */
const squeezed = (lines: readonly string[]): string => lines.join("\n").replace(/ +/g, " ").trim();

for (const columns of [20, 80, 200])
  test(`at ${columns} columns nothing but the report is left on the screen`, async () => {
    const screen = new TestScreen(columns);
    await play(screen);
    expect(squeezed(await screen.lines())).toBe(squeezed(expected));
  });

test("a window that becomes narrower and wider again garbles nothing", async () => {
  const screen = new TestScreen(100);
  const widths = [100, 60, 100, 25, 90];
  await play(screen, async (i) => {
    if (i % 7 === 0) await screen.resize(widths[(i / 7) % widths.length] as number);
  });
  expect(squeezed(await screen.lines())).toBe(squeezed(expected));
});
