import { describe, expect, test } from "bun:test";
import { EventStream } from "../../../src/events/stream.ts";
import type { ProviumEvent } from "../../../src/events/types.ts";
import { palette, plainPalette } from "../../../src/report/colours.ts";
import { jsonReporter } from "../../../src/report/json.ts";
import { plainReporter } from "../../../src/report/plain.ts";

/** One run with every outcome. */
const play = (stream: EventStream): void => {
  const { emit } = stream;
  const meta = {};
  for (const path of ["a.test.lua", "b.test.lua", "c.test.lua", "d.lua"])
    emit("file_discovered", { path, dialect: path === "d.lua" ? "classic" : "lab", fixture_refs: [] });
  emit("notice", { level: "info", text: "no /dev/kvm: using TCG" });
  emit("notice", { level: "warning", text: "provium.toml:3: unknown key" });
  emit("test_passed", { path: "a.test.lua", name: "adds", duration_ns: 20_000_000, meta, log: [] });
  emit("test_skipped", { path: "a.test.lua", name: "slow", reason: "slow", meta, log: [] });
  emit("output", { path: "a.test.lua", text: "hello\n" });
  emit("file_completed", { path: "a.test.lua", status: "passed", duration_ns: 30_000_000 });
  emit("test_failed", {
    path: "b.test.lua",
    name: "boots \u001b[2J",
    duration_ns: 1,
    reason: "expected 1, got \u001b]0;evil\u0007",
    detail: {
      file: "b.test.lua",
      line: 12,
      source: "  t:assert_eq(a, 1)",
      traceback: "stack traceback:\n\tb.test.lua:12: in function <b.test.lua:10>",
      hint: "look at a",
    },
    console_excerpt: "vm a:\n[    0.1] Linux\r\n[    0.2] panic\n",
    meta,
    log: ["first"],
  });
  emit("file_completed", { path: "b.test.lua", status: "failed", duration_ns: 1 });
  emit("file_completed", {
    path: "c.test.lua",
    status: "timed_out",
    duration_ns: 1,
    error: "the file's deadline of 1 s has passed",
  });
  emit("run_completed", { interrupted: false, duration_ns: 12_340_000_000 });
};

const plain = (detail: "normal" | "verbose" | "quiet"): { text: string; notices: string } => {
  let text = "";
  let notices = "";
  const stream = new EventStream();
  stream.subscribe(
    plainReporter({
      detail,
      colour: plainPalette,
      write: (part) => {
        text += part;
      },
      writeNotice: (part) => {
        notices += part;
      },
    }),
  );
  play(stream);
  return { text, notices };
};

const FAILED = `FAIL b.test.lua (0 passed, 1 failed, 0 skipped)
    FAIL boots \\e[2J
        expected 1, got \\e]0;evil\\a
        at b.test.lua:12
           12 │ t:assert_eq(a, 1)
        try: look at a
        stack traceback:
        \tb.test.lua:12: in function <b.test.lua:10>
        log: first
        console:
          │ vm a:
          │ [    0.1] Linux
          │ [    0.2] panic
`;

const TIMED_OUT = `TIME c.test.lua (0 passed, 0 failed, 0 skipped)
    the file's deadline of 1 s has passed
`;

const SUMMARY = `
3 file(s); 1 passed, 1 failed, 1 skipped; 12.34s
1 file(s) not run
`;

describe("plain report", () => {
  test("a line per file, failures in full, a summary", () => {
    expect(plain("normal").text).toBe(
      `PASS a.test.lua (1 passed, 0 failed, 1 skipped)\n    │ hello\n${FAILED}${TIMED_OUT}${SUMMARY}`,
    );
  });

  test("verbose lists every test", () => {
    expect(plain("verbose").text).toStartWith(
      "PASS a.test.lua (1 passed, 0 failed, 1 skipped)\n    PASS adds (0.02 s)\n    SKIP slow (slow)\n    │ hello\n",
    );
  });

  test("quiet prints failing files and the summary, and warnings still", () => {
    expect(plain("quiet")).toEqual({
      text: `${FAILED}${TIMED_OUT}${SUMMARY}`,
      notices: "provium: warning: provium.toml:3: unknown key\n",
    });
  });

  test("no control character of a guest or a test reaches the terminal", () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
    expect(plain("verbose").text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f]/);
  });

  test("colour needs a terminal that is not dumb, and no NO_COLOR", () => {
    expect(palette({ isTTY: false }, {})).toBe(plainPalette);
    expect(palette({ isTTY: true }, { NO_COLOR: "1" })).toBe(plainPalette);
    expect(palette({ isTTY: true }, { TERM: "dumb" })).toBe(plainPalette);
    expect(palette({ isTTY: true }, { TERM: "xterm" })).not.toBe(plainPalette);
  });
});

describe("JSON report", () => {
  test("one object a line for each file, nothing else on its output", () => {
    const lines: string[] = [];
    let side = "";
    const stream = new EventStream();
    stream.subscribe(
      jsonReporter({
        detail: "normal",
        colour: plainPalette,
        write: (text) => void lines.push(text),
        writeNotice: (text) => {
          side += text;
        },
      }),
    );
    play(stream);
    const objects = lines.map((line) => JSON.parse(line));
    expect(
      objects.map((file) => [file.path, file.dialect, file.timeout, file.passed, file.chunk_error]),
    ).toEqual([
      ["a.test.lua", "lab", "in_time", true, null],
      ["b.test.lua", "lab", "in_time", false, null],
      ["c.test.lua", "lab", "timed_out", false, "the file's deadline of 1 s has passed"],
    ]);
    expect(objects[0].tests[0]).toMatchObject({ name: "adds", status: "passed", message: null, log: [] });
    expect(objects[1].tests[0]).toMatchObject({ status: "failed", log: ["first"] });
    expect(side).toContain("3 file(s); 1 passed, 1 failed, 1 skipped; 12.34s");
  });
});

describe("event stream", () => {
  test("every consumer sees every event with its time", () => {
    const seen: ProviumEvent[] = [];
    const stream = new EventStream();
    stream.subscribe((event) => seen.push(event));
    play(stream);
    expect(seen.length).toBeGreaterThan(10);
    const now = BigInt(Date.now()) * 1_000_000n;
    for (const { ts } of seen) {
      expect(ts).toBeLessThan(now + 60_000_000_000n);
      expect(ts).toBeGreaterThan(now - 60_000_000_000n);
    }
  });
});
