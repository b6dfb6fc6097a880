import { expect, test } from "bun:test";
import { EventStream } from "../../../src/events/stream.ts";
import { plainPalette } from "../../../src/report/colours.ts";
import { plainReporter } from "../../../src/report/plain.ts";

const said = (detail: "normal" | "verbose"): string => {
  let text = "";
  const stream = new EventStream();
  const writeNotice = (part: string): void => {
    text += part;
  };
  stream.subscribe(plainReporter({ detail, colour: plainPalette, write: writeNotice, writeNotice }));
  stream.emit("fixture_build_started", { path: "base" });
  stream.emit("fixture_build_waiting", { path: "base", held_by_file: "a.test.lua\u001b[31m" });
  stream.emit("fixture_build_done", { path: "base", duration_ns: 1.5e9, snapshot_bytes: 3 * 2 ** 20 });
  stream.emit("fixture_build_failed", { path: "bad", duration_ns: 2e7, reason: "no" });
  stream.emit("fixture_cache_hit", { path: "base" });
  return text;
};

test("builds and cache hits are told under -v only, and nothing in them moves the cursor", () => {
  expect(said("normal")).toBe("");
  expect(said("verbose").split("\n")).toEqual([
    "provium: fixture base is being built",
    "provium: fixture base is awaited; it is being built for a.test.lua\\e[31m",
    "provium: fixture base built in 1.50 s (3.0 MiB)",
    "provium: fixture bad failed after 0.02 s",
    "provium: fixture base restored from the cache",
    "",
  ]);
});
