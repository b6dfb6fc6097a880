/** Checks events against docs/events.schema.json, more strictly than readers should: no field that it does not name. */

import Ajv from "ajv/dist/2020.js";
import schema from "../../docs/events.schema.json";

const ajv = new Ajv({ allErrors: true, allowUnionTypes: true, strictRequired: false });
ajv.addKeyword({
  keyword: "msgpack",
  validate: (_type: string, data: unknown) => data instanceof Uint8Array,
});

/** Closes every object that lists its properties. */
const closed = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(closed);
  if (typeof node !== "object" || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]));
  const described = copy.type === "object" && copy.properties !== undefined;
  return described ? { ...copy, additionalProperties: false } : copy;
};

// The validator of each kind by itself: its errors name the field and not the thirty kinds that it is not.
const validators = new Map(
  schema.oneOf.map(({ title, properties }) => [
    title,
    ajv.compile({ ...(closed(properties.payload) as object), $defs: closed(schema.$defs) }),
  ]),
);

/** Integers as JSON schema knows them. */
const plain = (value: unknown): unknown => {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
    : value;
};

/** Kinds that the schema knows. */
export const knownKinds: readonly string[] = schema.properties.kind.enum;

/** What is wrong with a decoded frame; empty when nothing is. */
export const schemaProblems = (event: unknown): string[] => {
  const { ts, kind, payload } = event as { ts: unknown; kind: string; payload: unknown };
  if (typeof ts !== "bigint" || ts <= 0n) return [`ts is no count of nanoseconds: ${String(ts)}`];
  const validate = validators.get(kind);
  if (validate === undefined) return [`unknown kind ${String(kind)}`];
  if (validate(plain(payload))) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${kind}${instancePath} ${message} ${JSON.stringify(params)}`,
  );
};
