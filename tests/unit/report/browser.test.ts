/**
 * The HTML report in a real browser: Chromium without a window, spoken to over its DevTools protocol. `make` does not install
 * it (it is larger than everything else that tests need together); without it these tests say so.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRecording } from "../../../src/events/recording.ts";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { replay } from "../../golden/reports/replay.ts";
import { Browser, findBrowser } from "./browser.ts";

const program = findBrowser();
const events: ProviumEvent[] = [];
readRecording(join(import.meta.dir, "../../golden/reports/story.events"), (event) => events.push(event));

let directory = "";
let browser: Browser | undefined;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "provium-browser-"));
  if (program !== undefined) browser = await Browser.start(program, directory);
}, 60_000);

afterAll(async () => {
  await browser?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Opens the report of a stream; undefined, with a message, where there is no browser. */
const opened = async (name: string, stream: readonly ProviumEvent[]): Promise<Browser | undefined> => {
  const page = replay("report.html", stream);
  if (browser === undefined) {
    console.log("no chromium here (Debian package chromium): the report was not opened in a browser");
    expect(page).toContain("</html>");
    return undefined;
  }
  const path = join(directory, `${name}.html`);
  writeFileSync(path, page);
  await browser.open(`file://${path}`);
  await browser.until(`document.body?.dataset.ready === "yes"`);
  return browser;
};

test("the report shows its results, and the page raises no error and loads nothing", async () => {
  const page = await opened("story", events);
  if (page === undefined) return;
  expect(page.complaints).toEqual([]);
  expect(page.requests).toHaveLength(1);
  const count = (selector: string) => page.value(`document.querySelectorAll("${selector}").length`);
  expect(await count(".file")).toBe(6);
  expect(await count("rect.bar")).toBe(6);
  expect(await count("rect.machine-bar")).toBe(2);
  expect(await count("path.gauge")).toBe(2);
  expect(await page.value(`document.getElementById("count").textContent`)).toBe("6 of 6 files, 7 of 7 tests");
  expect(await page.value(`document.getElementById("flaky").textContent`)).toContain("sometimes");
  expect(await page.value(`document.getElementById("slow").rows.length`)).toBe(5);
  expect(await page.value(`document.title`)).toBe("failed: Provium report");
}, 60_000);

test("opening a test shows its failure, console and the command; escape sequences are text", async () => {
  const page = await opened("open", events);
  if (page === undefined) return;
  await page.value(`document.querySelectorAll("details").forEach((node) => { node.open = true; })`);
  await page.until(`document.querySelectorAll(".test pre").length > 0`);
  const text = String(await page.value(`document.getElementById("results").textContent`));
  expect(text).toContain("+   3,");
  expect(text).toContain("panic \\e]0;title\\a");
  expect(text).toContain("provium tests/net/b.test.lua --accel tcg --seed 42");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
  expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f]/);
}, 60_000);

test("the filter takes parts of names and kinds of outcome", async () => {
  const page = await opened("filter", events);
  if (page === undefined) return;
  const counted = () => page.value(`document.getElementById("count").textContent`);
  const type = (text: string) =>
    page.value(`{ const it = document.getElementById("text"); it.value = ${JSON.stringify(text)};
      it.dispatchEvent(new Event("input", { bubbles: true })); }`);
  await type("keeps");
  expect(await counted()).toBe("1 of 6 files, 1 of 7 tests");
  await type("");
  await page.value(`document.getElementById("show-failed").click()`);
  expect(await counted()).toBe("3 of 6 files, 4 of 7 tests");
}, 60_000);

test("an attachment can be read in the report and saved from it", async () => {
  const page = await opened("attached", events);
  if (page === undefined) return;
  await page.value(`document.querySelectorAll(".file")[0].open = true`);
  await page.until(`document.querySelectorAll(".file")[0].querySelectorAll(".test").length === 3`);
  await page.value(`document.querySelectorAll(".test").forEach((node) => { node.open = true; })`);
  await page.until(`document.querySelector("a[download]") !== null`);
  expect(await page.value(`document.querySelector("a[download]").download`)).toBe("trace.txt");
  expect(await page.value(`document.querySelector(".file").textContent`)).toContain(
    "line <1>\nline \\x1b[31m2",
  );
}, 60_000);

test("markup and script that a test or guest prints are shown, never run", async () => {
  const evil = `</script><script>document.title = "taken"</script><img src=x onerror='document.title = "taken"'>`;
  const stream = events.map((event) =>
    event.kind === "output" || event.kind === "notice"
      ? ({ ...event, payload: { ...event.payload, text: evil } } as ProviumEvent)
      : event.kind === "test_failed"
        ? ({ ...event, payload: { ...event.payload, reason: evil, log: [evil] } } as ProviumEvent)
        : event,
  );
  const page = await opened("evil", stream);
  if (page === undefined) return;
  await page.value(`document.querySelectorAll("details").forEach((node) => { node.open = true; })`);
  await page.until(`document.querySelectorAll(".test pre").length > 0`);
  expect(await page.value(`document.title`)).toBe("failed: Provium report");
  expect(await page.value(`document.querySelectorAll("img").length`)).toBe(0);
  expect(await page.value(`document.getElementById("results").textContent`)).toContain("</script><script>");
}, 60_000);

test("a run of a thousand files with ten tests each is shown at once and opened when asked for", async () => {
  const stream: ProviumEvent[] = events.slice(0, 1);
  const say = (kind: string, payload: object): void =>
    void stream.push({ ts: events[0]?.ts, kind, payload } as unknown as ProviumEvent);
  for (let i = 0; i < 1000; i++) {
    const path = `d/f${i}.test.lua`;
    say("file_dispatched", { path, reservation: { memory_bytes: 1, cpus: 0 } });
    for (let j = 0; j < 10; j++) {
      say("test_started", { path, name: `t${j}`, meta: {} });
      say("test_passed", { path, name: `t${j}`, duration_ns: 1e6, meta: {}, log: [] });
    }
    say("file_completed", { path, status: "passed", duration_ns: 1e7 });
  }
  say("run_completed", { interrupted: false, duration_ns: 1e10 });
  const page = await opened("large", stream);
  if (page === undefined) return;
  expect(await page.value(`document.querySelectorAll(".file").length`)).toBe(1000);
  expect(await page.value(`document.querySelectorAll(".test").length`)).toBe(0);
}, 60_000);
