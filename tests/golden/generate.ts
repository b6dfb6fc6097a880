/**
 * Writes frames.json: frames that both sides of the wire must decode alike, made by msgpackr and the table
 * alone, without the codec of either side.
 *
 *   bun tests/golden/generate.ts
 *
 * An integer is a decimal string, bytes are hex, a list is an array of those, an absent optional field is null.
 * `answers` names the request whose reply fields an OK carries.
 */

import { join } from "node:path";
import { Packr } from "msgpackr";
import { type FieldType, MESSAGES, type MessageName, type MessageSpec } from "../../src/guest/messages.ts";

type Json = string | boolean | null | readonly Json[];

export interface GoldenFrame {
  readonly name: MessageName;
  readonly answers?: MessageName;
  readonly kind: number;
  readonly actor: number;
  readonly request_id: string;
  readonly payload: Readonly<Record<string, Json>>;
  readonly hex: string;
}

const specs: Readonly<Record<MessageName, MessageSpec>> = MESSAGES;
const packr = new Packr({ useRecords: false, variableMapSize: true });

const hex = (text: string): string => Buffer.from(text, "latin1").toString("hex");

/** Small integers as msgpackr packs numbers, larger ones as 64-bit words. */
function integer(value: string): number | bigint {
  const big = BigInt(value);
  return big >= -0x80000000n && big <= 0xffffffffn ? Number(big) : big;
}

function wire(type: FieldType, value: Json): unknown {
  if (value === null) return null;
  switch (type.replace("?", "")) {
    case "int":
      return integer(value as string);
    case "bytes":
      return Buffer.from(value as string, "hex");
    case "ints":
      return (value as string[]).map(integer);
    case "list":
      return (value as string[]).map((item) => Buffer.from(item, "hex"));
    default:
      return value;
  }
}

interface Sample {
  readonly name: MessageName;
  readonly answers?: MessageName;
  readonly actor?: number;
  readonly id?: string;
  readonly payload: Readonly<Record<string, Json>>;
  /** Further elements behind the known fields, which a decoder ignores. */
  readonly extra?: readonly unknown[];
}

function golden(sample: Sample): GoldenFrame {
  const { name, answers, payload, actor = 0, id = "0", extra = [] } = sample;
  const fields = answers === undefined ? specs[name].fields : specs[answers].reply!;
  const values = Object.entries(fields).map(([field, type]) => wire(type, payload[field]!));
  const body = packr.pack([specs[name].kind, actor, integer(id), [...values, ...extra]]);
  const frame = Buffer.alloc(4 + body.length);
  frame.writeUInt32BE(body.length);
  frame.set(body, 4);
  const tail = { kind: specs[name].kind, actor, request_id: id, payload, hex: frame.toString("hex") };
  return answers === undefined ? { name, ...tail } : { name, answers, ...tail };
}

/** A value of each type that is not the easiest one. */
const TYPICAL: Readonly<Record<string, Json>> = {
  int: "70000",
  bool: true,
  bytes: hex("/tmp/a \xff\x01"),
  ints: ["0", "-1", "65536"],
  list: [hex("one"), "", hex("three")],
};

const typical = (fields: Readonly<Record<string, FieldType>>): Record<string, Json> =>
  Object.fromEntries(Object.entries(fields).map(([field, type]) => [field, TYPICAL[type.replace("?", "")]!]));

const absent = (fields: Readonly<Record<string, FieldType>>): Record<string, Json> =>
  Object.fromEntries(
    Object.entries(fields).map(([field, type]) => [
      field,
      type.endsWith("?")
        ? null
        : type === "ints" || type === "list"
          ? []
          : type === "bytes"
            ? ""
            : TYPICAL[type]!,
    ]),
  );

const INTEGERS = [
  "0",
  "127",
  "128",
  "255",
  "256",
  "65535",
  "65536",
  "4294967295",
  "4294967296",
  "9007199254740993",
  "9223372036854775807",
  "-1",
  "-32",
  "-33",
  "-128",
  "-129",
  "-32768",
  "-32769",
  "-2147483648",
  "-2147483649",
  "-9223372036854775808",
];

const samples: Sample[] = [];
for (const name of Object.keys(specs) as MessageName[]) {
  const { fields, reply, served } = specs[name];
  const actor = served === "task" ? 1 : 0;
  const id = served === undefined ? "0" : "7";
  samples.push({ name, actor, id, payload: typical(fields) });
  samples.push({ name, actor, id, payload: absent(fields) });
  if (reply !== undefined) samples.push({ name: "OK", answers: name, actor, id, payload: typical(reply) });
}
for (const ns of INTEGERS) samples.push({ name: "CLOCK_SET", actor: 1, id: "300", payload: { ns } });
for (const size of [31, 32, 255, 256]) {
  samples.push({ name: "ECHO", id: "65536", payload: { data: hex("z".repeat(size)) } });
}
samples.push({
  name: "SYSCALL",
  actor: 1,
  id: "9007199254740991",
  payload: {
    nr: "165",
    args: ["0", "-1", "18446744073709551615", "9223372036854775808", "4096", "140737488355328"].map((word) =>
      BigInt.asIntN(64, BigInt(word)).toString(),
    ),
    bufs: Array.from({ length: 20 }, (_, index) => hex(String(index))),
    ptrs: ["0", "-1"],
    nested: ["0", "1", "8"],
  },
});
samples.push({
  name: "ECHO",
  id: "1",
  payload: { data: hex("later") },
  extra: ["a field of tomorrow", [1, [2]], null],
});

export const frames: readonly GoldenFrame[] = samples.map(golden);
if (import.meta.main)
  await Bun.write(join(import.meta.dir, "frames.json"), `${JSON.stringify(frames, null, 1)}\n`);
