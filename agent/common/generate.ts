/**
 * Writes the C side of our wires, each from its one table: for src/guest/messages.ts `messages.h` with a struct for
 * each request, push and reply, and `messages.c` with the table that message.c decodes and encodes by; for
 * src/disk/messages.ts and src/net/switch-messages.ts likewise, every name with `disk_` or `switch_` in front.
 *
 *   bun agent/common/generate.ts OUTPUT_DIRECTORY
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DISK_MESSAGES } from "../../src/disk/messages.ts";
import type { FieldType, MessageSpec } from "../../src/guest/messages.ts";
import * as wire from "../../src/guest/messages.ts";
import * as ethernet from "../../src/net/switch-messages.ts";

/** Type of the struct member, and the field type and optionality that the decoder needs. */
const C_TYPES: Readonly<Record<FieldType, readonly [member: string, type: string, optional: boolean]>> = {
  int: ["int64_t", "FIELD_INT", false],
  bool: ["bool", "FIELD_BOOL", false],
  bytes: ["struct bytes", "FIELD_BYTES", false],
  ints: ["struct sequence", "FIELD_INTS", false],
  list: ["struct sequence", "FIELD_LIST", false],
  "int?": ["struct optional_int", "FIELD_INT", true],
  "bytes?": ["struct bytes", "FIELD_BYTES", true],
  "ints?": ["struct sequence", "FIELD_INTS", true],
  "list?": ["struct sequence", "FIELD_LIST", true],
};

type Fields = Readonly<Record<string, FieldType>>;

/** `errno` is a macro in C. */
const memberOf = (field: string): string => (field === "errno" ? "errno_" : field);

function structOf(name: string, fields: Fields): string {
  const members = Object.entries(fields).map(
    ([field, type]) => `  ${C_TYPES[type][0]} ${memberOf(field)};\n`,
  );
  return `struct ${name} {\n${members.join("")}};\n`;
}

function rowsOf(name: string, fields: Fields): string {
  const rows = Object.entries(fields).map(([field, type]) => {
    const [, fieldType, optional] = C_TYPES[type];
    return `  {"${field}", ${fieldType}, ${optional}, offsetof(struct ${name}, ${memberOf(field)})},\n`;
  });
  return `static const struct field ${name}_rows[] = {\n${rows.join("")}};\n`;
}

function shapeOf(name: string, fields: Fields | undefined): string {
  const count = fields === undefined ? 0 : Object.keys(fields).length;
  return count === 0 ? "{NULL, 0, 0}" : `{${name}_rows, ${count}, sizeof(struct ${name})}`;
}

const SERVED = { io: "SERVED_BY_IO", task: "SERVED_BY_TASK", host: "SERVED_BY_HOST" };

/** The text of header and source of one table. */
function render(
  table: Readonly<Record<string, MessageSpec>>,
  prefix: string,
  origin: string,
  constants: string,
) {
  const messages = Object.entries(table);
  const structs: string[] = [];
  const rows: string[] = [];
  const entries: string[] = [];
  const shapes: string[] = [];
  for (const [name, spec] of messages) {
    const lower = prefix + name.toLowerCase();
    const parts: [string, Fields | undefined][] = [
      [`${lower}_fields`, spec.fields],
      [`${lower}_reply`, spec.reply],
    ];
    for (const [part, fields] of parts) {
      if (fields === undefined || Object.keys(fields).length === 0) continue;
      structs.push(structOf(part, fields));
      rows.push(rowsOf(part, fields));
      shapes.push(`extern const struct shape ${part}_shape;\n`);
      rows.push(`const struct shape ${part}_shape = ${shapeOf(part, fields)};\n`);
    }
    entries.push(
      `  {${spec.kind}, "${name}", ${SERVED[spec.served ?? "host"]}, ` +
        `${shapeOf(parts[0]![0], spec.fields)}, ${shapeOf(parts[1]![0], spec.reply)}},\n`,
    );
  }
  const banner = `/* Written by agent/common/generate.ts from ${origin}. */\n`;
  const guard = `PROVIUM_${prefix.toUpperCase()}MESSAGES_H`;
  const upper = prefix.toUpperCase();
  const header = `${banner}#ifndef ${guard}
#define ${guard}

#include "message.h"

${constants}
enum ${prefix}message_kind {
${messages.map(([name, spec]) => `  ${upper}MESSAGE_${name} = ${spec.kind},\n`).join("")}};

extern const struct message ${prefix}message_table[];
extern const size_t ${prefix}message_table_size;

${shapes.join("")}
${structs.join("\n")}
#endif
`;
  const source = `${banner}#include "${prefix}messages.h"

${rows.join("\n")}
const struct message ${prefix}message_table[] = {
${entries.join("")}};

const size_t ${prefix}message_table_size = sizeof ${prefix}message_table / sizeof ${prefix}message_table[0];
`;
  return { header, source };
}

const version: string = JSON.parse(readFileSync(join(import.meta.dir, "../../package.json"), "utf8")).version;
const guestConstants = `#define AGENT_VERSION "${version}"
#define PROTOCOL_VERSION ${wire.PROTOCOL_VERSION}
#define MAX_FRAME_BYTES ((size_t)${wire.MAX_FRAME_BYTES})
#define AGENT_PORT ${wire.AGENT_PORT}
#define SERIAL_PORT_NAME "${wire.SERIAL_PORT_NAME}"
#define SYNC_PREAMBLE {${wire.SYNC_PREAMBLE.map((byte) => `0x${byte.toString(16)}`).join(", ")}}
#define SYNC_PREAMBLE_SIZE ${wire.SYNC_PREAMBLE.length}

enum actor_id {
  ACTOR_IO = ${wire.ACTOR_IO},
  ACTOR_MAIN = ${wire.ACTOR_MAIN},
};
`;

const TABLES = [
  { table: wire.MESSAGES, prefix: "", origin: "src/guest/messages.ts", constants: guestConstants },
  { table: DISK_MESSAGES, prefix: "disk_", origin: "src/disk/messages.ts", constants: "" },
  {
    table: ethernet.SWITCH_MESSAGES,
    prefix: "switch_",
    origin: "src/net/switch-messages.ts",
    constants: `#define CONTROL_FD ${ethernet.CONTROL_FD}\n#define PAIR_FIELDS ${ethernet.PAIR_FIELDS}\n`,
  },
] as const;

const directory = process.argv[2];
if (directory === undefined) throw new Error("usage: bun agent/common/generate.ts OUTPUT_DIRECTORY");
mkdirSync(directory, { recursive: true });
for (const { table, prefix, origin, constants } of TABLES) {
  const { header, source } = render(table, prefix, origin, constants);
  writeFileSync(join(directory, `${prefix}messages.h`), header);
  writeFileSync(join(directory, `${prefix}messages.c`), source);
}
