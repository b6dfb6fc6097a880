/**
 * Frames of the wire and what they mean: messages.ts read as encoders and strict decoders.
 *
 * A body is `[kind, actor, request_id, payload]`, the payload an array of the message's fields in the order of
 * the table. Nothing that a guest sends is believed: a wrong type, a missing field or an unknown kind is a
 * ProtocolError that names what came.
 */

import { ProtocolError } from "../errors/errors.ts";
import {
  type FieldType,
  MESSAGES,
  type MessageName,
  type MessageSpec,
  type Payload,
  type Reply,
} from "./messages.ts";
import { type Integer, Reader, Writer } from "./msgpack.ts";

type Fields = Readonly<Record<string, FieldType>>;
export type Value = Integer | boolean | Uint8Array | readonly Integer[] | readonly Uint8Array[] | null;
/** Fields in wire order. */
export type Plan = readonly (readonly [name: string, type: FieldType])[];

/** Messages of the table that are answered. */
export type RequestName = {
  [M in MessageName]: (typeof MESSAGES)[M] extends { reply: Fields } ? M : never;
}[MessageName];

interface Entry {
  readonly name: MessageName;
  readonly kind: number;
  readonly fields: Plan;
  readonly reply: Plan | undefined;
}

export const planOf = (fields: Fields): Plan => Object.entries(fields);

const BY_NAME = new Map<MessageName, Entry>();
const BY_KIND = new Map<number, Entry>();
for (const [name, spec] of Object.entries(MESSAGES) as [MessageName, MessageSpec][]) {
  const reply = spec.reply === undefined ? undefined : planOf(spec.reply);
  const entry: Entry = { name, kind: spec.kind, fields: planOf(spec.fields), reply };
  BY_NAME.set(name, entry);
  BY_KIND.set(spec.kind, entry);
}

const writer = new Writer();

/** The body of a frame in parts, for `Channel.send`. RangeError: an integer does not fit 64 bits. */
export const encode = <M extends MessageName>(
  name: M,
  actor: number,
  requestId: number,
  payload: Payload<M>,
): Uint8Array[] => {
  const { kind, fields } = BY_NAME.get(name) as Entry;
  return encodeFields(kind, fields, actor, requestId, payload);
};

/** The OK that answers a `name`: what an agent sends. */
export const encodeReply = <M extends RequestName>(
  name: M,
  actor: number,
  requestId: number,
  reply: Reply<M>,
): Uint8Array[] =>
  encodeFields(MESSAGES.OK.kind, (BY_NAME.get(name) as Entry).reply ?? [], actor, requestId, reply);

/** A body of any table: the values that `plan` names, in its order. */
export const encodeFields = (
  kind: number,
  plan: Plan,
  actor: number,
  requestId: number,
  values: Readonly<Record<string, Value>>,
): Uint8Array[] => {
  try {
    writer.array(4);
    writer.int(kind);
    writer.int(actor);
    writer.int(requestId);
    writer.array(plan.length);
    for (const [name, type] of plan) put(type, values[name] as Value);
    return writer.finish();
  } catch (error) {
    // What was begun must not become the head of the next frame.
    writer.finish();
    throw error;
  }
};

const put = (type: FieldType, value: Value): void => {
  if (value === null) writer.nil();
  else if (type === "int" || type === "int?") writer.int(value as Integer);
  else if (type === "bool") writer.bool(value as boolean);
  else if (type === "bytes" || type === "bytes?") writer.bytes(value as Uint8Array);
  else {
    const items = value as readonly (Integer | Uint8Array)[];
    writer.array(items.length);
    for (const item of items) {
      if (typeof item === "object") writer.bytes(item);
      else writer.int(item);
    }
  }
};

/** A frame whose payload has not been looked at yet. */
export class Frame {
  private readonly reader: Reader;
  readonly kind: number;
  readonly actor: number;
  readonly requestId: number;

  /** ProtocolError when the body does not begin like a frame. */
  constructor(body: Uint8Array) {
    const reader = new Reader(body);
    const parts = reader.array();
    if (parts < 4) throw new ProtocolError(`a frame has 4 parts, this one ${parts}`);
    this.kind = small(reader.int(), "kind");
    this.actor = small(reader.int(), "actor");
    this.requestId = small(reader.int(), "request id");
    this.reader = reader;
  }

  /** The message's name, or its number where the table does not have it. */
  get name(): string {
    return BY_KIND.get(this.kind)?.name ?? `kind ${this.kind}`;
  }

  /** The fields of a request or push of that name. Once only. */
  payload<M extends MessageName>(name: M): Payload<M> {
    return this.decode(name, (BY_NAME.get(name) as Entry).fields) as Payload<M>;
  }

  /** The fields of an OK that answers `name`. Once only. */
  reply<M extends RequestName>(name: M): Reply<M> {
    return this.decode(`the answer to ${name}`, (BY_NAME.get(name) as Entry).reply ?? []) as Reply<M>;
  }

  /** The first field of the payload as an integer, whatever follows: readable across protocol versions. */
  firstInteger(): Integer {
    if (this.reader.array() < 1) throw new ProtocolError(`${this.name} without any field`);
    return this.reader.int();
  }

  /** The fields of a payload of any table; `what` is its name in errors. Once only. */
  decode(what: string, plan: Plan): Record<string, Value> {
    const reader = this.reader;
    const values: Record<string, Value> = {};
    let field = "";
    try {
      const count = reader.array();
      if (count < plan.length) {
        const missing = plan[count]?.[0];
        throw new ProtocolError(`field ${missing} is missing`);
      }
      for (const [name, type] of plan) {
        field = name;
        values[name] = get(reader, type);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const where = field === "" ? what : `${what}, field ${field}`;
      throw new ProtocolError(`${where}: ${error.message}`);
    }
    return values;
  }
}

const get = (reader: Reader, type: FieldType): Value => {
  switch (type) {
    case "int":
      return reader.int();
    case "int?":
      return reader.nil() ? null : reader.int();
    case "bool":
      return reader.bool();
    case "bytes":
      return reader.bytes();
    case "bytes?":
      return reader.nil() ? null : reader.bytes();
    case "ints":
      return integers(reader);
    case "ints?":
      return reader.nil() ? null : integers(reader);
    case "list":
      return list(reader);
    case "list?":
      return reader.nil() ? null : list(reader);
  }
};

const integers = (reader: Reader): Integer[] => {
  const items: Integer[] = [];
  for (let left = reader.array(); left > 0; left--) items.push(reader.int());
  return items;
};

const list = (reader: Reader): Uint8Array[] => {
  const items: Uint8Array[] = [];
  for (let left = reader.array(); left > 0; left--) items.push(reader.bytes());
  return items;
};

/** Kinds, actors, handles and counts: never negative, never large. */
const small = (value: Integer, what: string): number => {
  if (typeof value !== "number" || value < 0) throw new ProtocolError(`${what} ${value} is out of range`);
  return value;
};
