import { describe, expect, test } from "bun:test";
import golden from "../../golden/frames.json" with { type: "json" };
import { frames } from "../../golden/generate.ts";

const CODEC = new URL("../../../build/agent-asan/codec", import.meta.url).pathname;

function codec(mode: readonly string[], input = ""): string {
  const run = Bun.spawnSync([CODEC, ...mode], { stdin: new TextEncoder().encode(input) });
  if (run.exitCode !== 0) throw new Error(`codec ${mode.join(" ")}: ${run.stderr}`);
  return run.stdout.toString();
}

const lines = frames.map((frame) => `${frame.hex} ${frame.answers ?? ""}\n`).join("");

describe("the agent's wire code", () => {
  test("the golden frames are those of the table", () => {
    expect(golden as unknown).toEqual(JSON.parse(JSON.stringify(frames)));
  });

  test("every golden frame decodes to its fields", () => {
    const decoded = codec(["decode"], lines)
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(decoded).toEqual(
      frames.map(({ kind, actor, request_id, payload }) => ({ kind, actor, request_id, payload })),
    );
  });

  test("a frame with a field too few or of another type is refused", () => {
    const refused = [
      "0000000694200101 91a178",
      "00000005942001 0190",
      "000000099420010195 c3909090 90",
      "0000000594070001 c0",
      "00000006947f0001 91a0",
    ];
    const input = refused.map((hex) => `${hex.replaceAll(" ", "")}\n`).join("");
    expect(codec(["decode"], input)).toBe("null\n".repeat(refused.length));
  });

  test("buffers, integers, bytes, nesting and frames keep their promises", () => {
    expect(codec(["self"])).toBe("ok\n");
  });

  test("damaged frames are accepted or refused, never read beyond their end", () => {
    expect(codec(["fuzz", "200000", "20260101"], lines)).toMatch(/^\d+ of 200000 accepted\n$/);
  });
});
