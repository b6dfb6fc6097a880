/**
 * A run whose every text is somebody else's, through every reporter: no report contains a control character, each can
 * be read by what it is written for, and nothing in it is taken for more than text.
 */

import { readFileSync } from "node:fs";
import { XmlDocument } from "libxml2-wasm";
import type { EventKind, EventPayloads, ProviumEvent } from "../../../src/events/types.ts";
import { plainPalette } from "../../../src/report/colours.ts";
import { githubReporter } from "../../../src/report/github.ts";
import { viewLines } from "../../../src/report/live.ts";
import { Progress } from "../../../src/report/progress.ts";
import { CASES, TEMPLATE } from "../../golden/reports/replay.ts";
import { must, type Target } from "../target.ts";
import { CONTROL } from "./text.ts";

/** Stands between two texts of an input. */
const BETWEEN = "\u0000\u0000";

/** One file with a test of each outcome and one that had no turn; `text` gives the next text of the input. */
const story = (text: () => string): ProviumEvent[] => {
  const events: ProviumEvent[] = [];
  const emit = <K extends EventKind>(kind: K, payload: EventPayloads[K]): void => {
    events.push({ ts: BigInt(events.length + 1) * 1_000_000n, kind, payload } as ProviumEvent);
  };
  const path = text();
  const vm = { file: path, vm_name: text() };
  const ended = { path, meta: { tags: [text()], key: text() }, log: [text(), text()] };
  emit("stream_started", { protocol_version: 1, host_version: "0" });
  emit("run_started", {
    ...{ jobs: 1, pool: { memory_bytes: 1, cpus: 1 }, vmm: "qemu", accel: "tcg", transport: "serial" },
    ...{ rerun: ["provium", "{file}"], seed: "1" },
  });
  emit("notice", { level: "warning", text: text() });
  emit("file_discovered", { path, dialect: "lab", fixture_refs: [], location: text() });
  emit("file_discovered", { path: `${path}2`, dialect: "lab", fixture_refs: [] });
  emit("file_dispatched", { path, reservation: { memory_bytes: 1, cpus: 1 } });
  emit("fixture_build_failed", { path: text(), duration_ns: 1, reason: text() });
  emit("vm_spawned", {
    ...{ ...vm, profile: text(), memory_bytes: 1, cid: 3, transport: "serial", boot_ns: 1 },
  });
  emit("output", { path, text: text() });
  emit("test_started", { path, name: text(), meta: {} });
  emit("test_passed", { ...ended, name: text(), duration_ns: 1 });
  emit("test_skipped", { ...ended, name: text(), reason: text() });
  const name = text();
  emit("attachment", { path, test: name, name: text(), media_type: "text/plain", data: new Uint8Array(3) });
  emit("test_failed", {
    ...{ ...ended, name, duration_ns: 1, reason: text(), console_excerpt: text() },
    detail: {
      ...{ file: path, line: 2, source: text(), traceback: text(), hint: text() },
      excerpt: { first_line: 1, lines: [text(), text()], column: 5 },
      comparison: { left_name: "a", left: text(), right_name: "b", right: text() },
    },
  });
  emit("bridge_changed", { file: path, bridge: text(), change: "impaired", text: text() });
  emit("vm_state", { ...vm, state: "dead", reason: text() });
  emit("file_completed", { path, status: "crashed", duration_ns: 1, error: text() });
  emit("file_completed", { path: `${path}2`, status: "not_run", duration_ns: 0, error: text() });
  emit("run_completed", { interrupted: false, duration_ns: 1 });
  return events;
};
const TESTS = 3;

interface Report {
  readonly text: string;
  readonly notices: string;
}

/** Ends a fence, and is in no input; that of the golden files may be. */
const TOKEN = "b4a1f6c2-5d0e-4f3a-9c87-2e6d1b0a7f35";
const REPORTERS: typeof CASES = { ...CASES, "github.txt": { reporter: githubReporter(() => TOKEN) } };

const reported = (name: string, events: readonly ProviumEvent[]): Report => {
  const { reporter, detail = "normal" } = REPORTERS[name] as (typeof CASES)[string];
  let [text, notices] = ["", ""];
  const consume = reporter({
    detail,
    colour: plainPalette,
    write: (part) => {
      text += part;
    },
    writeNotice: (part) => {
      notices += part;
    },
  });
  for (const event of events) consume(event);
  return { text, notices };
};

const countOf = (text: string, pattern: RegExp): number => [...text.matchAll(pattern)].length;

const [BEFORE = "", BEHIND = ""] = readFileSync(TEMPLATE, "utf8").split('"DATA"');

/** Commands that GitHub would carry out: what stands in a fence gives none. */
const commandsIn = (text: string): string[] => {
  let fence: string | undefined;
  return text.split("\n").filter((line) => {
    if (fence !== undefined) {
      if (line === `::${fence}::`) fence = undefined;
      return false;
    }
    fence = /^::stop-commands::(.*)$/.exec(line)?.[1];
    return fence === undefined && line.startsWith("::");
  });
};

/** What each kind of report must hold for any story. */
const RULES: Readonly<Record<string, (report: Report) => void>> = {
  "report.jsonl": ({ text }) => {
    const objects = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { tests: unknown[] });
    must(
      objects.length === 1 && objects[0]?.tests.length === TESTS,
      "a line for the file that ran, with its tests",
    );
  },
  "junit.xml": ({ text }) => {
    using document = XmlDocument.fromString(text);
    must(document.find("//testcase").length === TESTS + 2, "a case for each test and for each file");
  },
  "report.tap": ({ text }) => {
    must(countOf(text, /^ {4}(not )?ok /gm) === TESTS, "a point for each test");
    must(countOf(text, /^(not )?ok /gm) === 2 && countOf(text, /^Bail/gm) === 0, "a point for each file");
  },
  "report.html": ({ text }) => {
    const data = text.slice(BEFORE.length, text.length - BEHIND.length);
    must(text === BEFORE + data + BEHIND && !data.includes("<"), "data stays inside its element");
    must(JSON.parse(data).files.length === 2, "data of both files");
  },
  "github.txt": ({ text, notices }) => {
    const commands = [...commandsIn(text), ...commandsIn(notices)];
    must(
      commands.every((it) => /^::(error|warning) [^:]*::/.test(it)),
      "annotations are the only commands",
    );
    must(commands.length === 3, "a test, a file and a notice are annotated");
  },
};

const looksAtView = (events: readonly ProviumEvent[]): void => {
  const progress = new Progress();
  for (const event of events) {
    progress.consume(event);
    for (const line of viewLines(progress, 10n ** 9n, 40, 24, plainPalette))
      must(
        !CONTROL.test(line) && !/[\t\n]/.test(line) && Bun.stringWidth(line) < 40,
        "a row of the view is one row",
      );
  }
};

export const reports: Target = {
  name: "reports",
  source: import.meta.file,
  seeds: [
    [
      "tests/a.test.lua",
      "boots \u001b[2J",
      "a\n::error::b",
      "</script><x>&amp;]]>",
      "not ok 2 - # SKIP",
      "'",
    ].join(BETWEEN),
    ["\u202e", "\ud83d\ude00", "\t\tx\r\n", "::0123-4567::", "1..2\n    ok 3", "<![CDATA["].join(BETWEEN),
    "",
  ],
  words: [
    ...[
      BETWEEN,
      "\u001b]0;",
      "\u0007",
      "\r",
      "\n",
      "\u009b",
      "\u2028",
      "\ufffe",
      "\u0085",
      "<",
      "&",
      '"',
      "'",
      "]]>",
    ],
    ...[
      "::",
      "::add-mask::",
      "%0A",
      "#",
      "\\",
      "ok 1",
      "    ok",
      "Bail out!",
      "  ---",
      "  ...",
      "<!--",
      "</script",
      "$&",
    ],
    Uint8Array.of(0xed, 0xa0, 0x80),
    Uint8Array.of(0xff),
  ],
  run: (input) => {
    const texts = new TextDecoder().decode(input).split(BETWEEN);
    let at = 0;
    const events = story(() => texts[at++ % texts.length] as string);
    for (const name of Object.keys(REPORTERS)) {
      const report = reported(name, events);
      must(!CONTROL.test(report.text + report.notices), `no control character in ${name}`);
      RULES[name]?.(report);
    }
    looksAtView(events);
  },
};
