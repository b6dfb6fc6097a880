import { describe, expect, test } from "bun:test";
import { encode, encodeReply, Frame, type RequestName } from "../../../src/guest/codec.ts";
import { MESSAGES, type MessageName } from "../../../src/guest/messages.ts";
import golden from "../../golden/frames.json" with { type: "json" };

type Json = string | boolean | null | readonly Json[];

/** A decoded value in the notation of frames.json. */
const noted = (value: unknown): Json => {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return (value as unknown[]).map(noted);
};

const decoded = (body: Uint8Array, answers: string | undefined) => {
  const frame = new Frame(body);
  const fields =
    answers === undefined ? frame.payload(frame.name as MessageName) : frame.reply(answers as RequestName);
  const payload = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, noted(value)]));
  return { kind: frame.kind, actor: frame.actor, request_id: String(frame.requestId), payload, fields };
};

describe("the golden frames, which the agent's tests decode too", () => {
  const frames = golden as unknown as {
    name: MessageName;
    answers?: RequestName;
    kind: number;
    actor: number;
    request_id: string;
    payload: Record<string, Json>;
    hex: string;
  }[];

  test("every message of the table has one", () => {
    const names = new Set(frames.map(({ name }) => name));
    expect(Object.keys(MESSAGES).filter((name) => !names.has(name as MessageName))).toEqual([]);
  });

  for (const { name, answers, kind, actor, request_id, payload, hex } of frames) {
    const label = answers === undefined ? name : `${name} to ${answers}`;
    test(`${label} decodes to its fields (${hex.slice(8, 24)}…)`, () => {
      const bytes = Buffer.from(hex, "hex");
      expect(bytes.readUInt32BE(0)).toBe(bytes.byteLength - 4);
      const { fields: _, ...rest } = decoded(bytes.subarray(4), answers);
      expect(rest).toEqual({ kind, actor, request_id, payload });
    });

    test(`${label} encoded by the host decodes to the same (${hex.slice(8, 24)}…)`, () => {
      const { fields } = decoded(Buffer.from(hex, "hex").subarray(4), answers);
      const id = Number(request_id);
      const parts =
        answers === undefined
          ? encode(name, actor, id, fields as never)
          : encodeReply(answers, actor, id, fields as never);
      expect(decoded(Buffer.concat(parts), answers).payload).toEqual(payload);
    });
  }
});
