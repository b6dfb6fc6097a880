/**
 * What the host's side of the wire promises about anything that a guest may send, as properties over generated
 * frames. The unit tests try each a few hundred times; `make fuzz` feeds `wire` with what is no frame at all.
 */

import fc from "fast-check";
import { Incoming } from "../../src/channel/incoming.ts";
import { ProtocolError } from "../../src/errors/errors.ts";
import { encodeFields, Frame, type Plan, planOf, type Value } from "../../src/guest/codec.ts";
import { type FieldType, MESSAGES, type MessageSpec, SYNC_PREAMBLE } from "../../src/guest/messages.ts";
import { closeFd, setNonBlocking, socketPair, writeSome } from "../../src/sys/libc.ts";

const integer = fc
  .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value));
const bytes = fc.uint8Array({ maxLength: 64 });

const VALUES: Readonly<Record<string, fc.Arbitrary<Value>>> = {
  int: fc.oneof(fc.integer({ min: -200, max: 70_000 }), integer),
  bool: fc.boolean(),
  bytes: fc.oneof(
    bytes,
    fc.integer({ min: 200, max: 70_000 }).map((size) => new Uint8Array(size)),
  ),
  ints: fc.array(integer, { maxLength: 20 }),
  list: fc.array(bytes, { maxLength: 20 }),
};

const valueFor = (type: FieldType): fc.Arbitrary<Value> => {
  const value = VALUES[type.replace("?", "")] as fc.Arbitrary<Value>;
  return type.endsWith("?") ? fc.option(value) : value;
};

interface Sample {
  readonly kind: number;
  readonly plan: Plan;
  readonly values: Readonly<Record<string, Value>>;
  readonly body: Uint8Array;
}

const PLANS = (Object.values(MESSAGES) as MessageSpec[]).flatMap(({ kind, fields, reply }) => [
  { kind, plan: planOf(fields) },
  ...(reply === undefined ? [] : [{ kind: MESSAGES.OK.kind, plan: planOf(reply) }]),
]);

/** A frame of the table, whole. */
const sample: fc.Arbitrary<Sample> = fc.constantFrom(...PLANS).chain(({ kind, plan }) =>
  fc
    .tuple(
      fc.record(Object.fromEntries(plan.map(([name, type]) => [name, valueFor(type)]))),
      fc.nat({ max: 70_000 }),
      fc.nat({ max: 2 ** 31 }),
    )
    .map(([values, actor, id]) => ({
      kind,
      plan,
      values,
      body: Buffer.concat(encodeFields(kind, plan, actor, id, values)),
    })),
);

/** First bytes of msgpack values that are at the edge of something. */
const NASTY = [0x00, 0x7f, 0x80, 0x9f, 0xc0, 0xc1, 0xc6, 0xc9, 0xcb, 0xcf, 0xd3, 0xdb, 0xdd, 0xdf, 0xff];

interface Damage {
  readonly at: number;
  readonly byte: number;
  readonly how: "replace" | "insert" | "remove" | "cut";
}

const damage: fc.Arbitrary<Damage> = fc.record({
  at: fc.nat(),
  byte: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(...NASTY)),
  how: fc.constantFrom("replace", "replace", "insert", "remove", "cut"),
});

const damaged = (body: Uint8Array, { at, byte, how }: Damage): Uint8Array => {
  if (body.byteLength === 0) return Uint8Array.of(byte);
  const place = at % body.byteLength;
  const [before, after] = [body.subarray(0, place), body.subarray(place + 1)];
  if (how === "replace") return Buffer.concat([before, Uint8Array.of(byte), after]);
  if (how === "insert") return Buffer.concat([before, Uint8Array.of(byte), body.subarray(place)]);
  return how === "remove" ? Buffer.concat([before, after]) : before;
};

/** The result, or null where the bytes were refused as they should be. Anything else thrown is a finding. */
const refusable = <T>(act: () => T): T | null => {
  try {
    return act();
  } catch (error) {
    if (error instanceof ProtocolError && error.message.length < 500) return null;
    throw error;
  }
};

const decode = (body: Uint8Array, plan: Plan) => new Frame(body).decode("a frame", plan);

const encodeAgain = (values: Readonly<Record<string, Value>>, plan: Plan): Uint8Array =>
  Buffer.concat(encodeFields(1, plan, 0, 0, values));

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** What comes out of `pieces`, read one after another: the bodies, and whether the stream was refused. */
const received = (pieces: readonly Uint8Array[], prepare?: (incoming: Incoming) => void) => {
  const bodies: Uint8Array[] = [];
  const incoming = new Incoming((body) => bodies.push(body.slice()));
  prepare?.(incoming);
  const [ours, theirs] = socketPair();
  setNonBlocking(ours);
  setNonBlocking(theirs);
  let refused = false;
  const take = (): void => {
    refused ||= refusable(() => incoming.pull(ours, () => !refused)) === null;
  };
  try {
    for (const piece of pieces) {
      for (let sent = 0; sent < piece.byteLength && !refused; ) {
        const n = writeSome(theirs, piece.subarray(sent));
        if (n > 0) sent += n;
        take();
      }
    }
  } finally {
    closeFd(ours);
    closeFd(theirs);
  }
  return { bodies, refused };
};

const framed = (body: Uint8Array): Uint8Array => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.byteLength);
  return Buffer.concat([length, body]);
};

/** `data` in pieces of the given lengths, the last as long as it is. */
const cut = (data: Uint8Array, lengths: readonly number[]): Uint8Array[] => {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    if (at >= data.byteLength) break;
    pieces.push(data.subarray(at, at + length));
    at += length;
  }
  return [...pieces, data.subarray(at)];
};

const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 70_000 })), {
  maxLength: 60,
});

const roundTrip = fc.property(sample, ({ plan, values, body }) => {
  const decoded = decode(body, plan);
  if (!same(encodeAgain(decoded, plan), encodeAgain(values, plan)))
    throw new Error("decoded to other values");
});

/** What is accepted has a meaning: it can be said again, and then means the same. */
const oneMeaning = (body: Uint8Array, plan: Plan): void => {
  const values = refusable(() => decode(body, plan));
  if (values === null) return;
  const again = encodeAgain(values, plan);
  if (!same(encodeAgain(decode(again, plan), plan), again)) throw new Error("an unstable meaning");
};

/** Whatever a guest sends as the body of a frame, taken for each message of the table. */
export const takeFrame = (body: Uint8Array): void => {
  for (const { plan } of PLANS) oneMeaning(body, plan);
};

const anyDamage = fc.property(
  sample,
  fc.array(damage, { minLength: 1, maxLength: 6 }),
  fc.constantFrom(...PLANS),
  ({ plan, body }, damages, other) => {
    const bad = damages.reduce(damaged, body);
    for (const wanted of [plan, other.plan]) {
      oneMeaning(bad, wanted);
    }
  },
);

const anyBytes = fc.property(
  fc.uint8Array({ maxLength: 300 }),
  fc.constantFrom(...PLANS),
  (body, { plan }) => {
    refusable(() => decode(body, plan));
  },
);

const anyCuts = fc.property(
  fc.array(sample, { maxLength: 5 }),
  fc.option(fc.uint8Array({ maxLength: 20 })),
  lengths,
  (samples, garbage, pieces) => {
    const bodies = samples.map(({ body }) => body);
    const stream = Buffer.concat([...bodies.map(framed), garbage ?? new Uint8Array(0)]);
    const whole = received([stream]);
    const parts = received(cut(stream, pieces));
    if (whole.refused !== parts.refused) throw new Error("refused in one way of reading only");
    if (whole.bodies.length !== parts.bodies.length) throw new Error("another number of frames");
    if (!whole.bodies.every((body, i) => same(body, parts.bodies[i] as Uint8Array)))
      throw new Error("other frames");
    if (!bodies.every((body, i) => same(body, whole.bodies[i] as Uint8Array)))
      throw new Error("not what was sent");
  },
);

const anyResync = fc.property(
  fc.array(fc.oneof(fc.uint8Array({ maxLength: 80 }), fc.constant(Uint8Array.from(SYNC_PREAMBLE))), {
    maxLength: 6,
  }),
  sample,
  fc.array(sample, { maxLength: 3 }),
  lengths,
  (garbage, answer, rest, pieces) => {
    const magic = Uint8Array.from(SYNC_PREAMBLE);
    // READY is small; a larger frame behind the magic is never the answer.
    if (answer.body.byteLength > 64 * 1024) return;
    const frames = [answer, ...rest].map(({ body }) => framed(body));
    const stream = Buffer.concat([...garbage, magic, ...frames]);
    const { bodies, refused } = received(cut(stream, pieces), (incoming) =>
      incoming.expect({ magic, body: magic, accepts: (body) => same(body, answer.body) }),
    );
    if (refused) throw new Error("refused what stands before the answer");
    if (bodies.length !== 1 + rest.length || !same(bodies[0] as Uint8Array, answer.body))
      throw new Error(`${bodies.length} frames, and the first is not the answer`);
  },
);

export interface Property {
  readonly name: string;
  /** Tries it; `report` says what a failure looks like, made small, and how to repeat it. */
  readonly check: (seed: number, runs: number) => { readonly runs: number; readonly report?: string };
}

const named = <T>(name: string, property: fc.IProperty<T>): Property => ({
  name,
  check: (seed, runs) => {
    const result = fc.check(property, { seed, numRuns: runs });
    const report = fc.defaultReportMessage(result);
    return { runs: result.numRuns, ...(report !== undefined && { report }) };
  },
});

export const PROPERTIES: readonly Property[] = [
  named("a frame of the table decodes to what was encoded", roundTrip),
  named("a damaged frame is refused, or has one meaning", anyDamage),
  named("any bytes are refused or decoded", anyBytes),
  named("frames are the same however the stream is cut", anyCuts),
  named("the answer to a resync is found behind any garbage", anyResync),
];
