#ifndef PROVIUM_MESSAGE_H
#define PROVIUM_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "bytes.h"
#include "msgpack.h"

/**
 * What a generated table (messages.h, disk_messages.h) says about a payload, and the one decoder and encoder that work from
 * it. A payload is an array with the fields in order; extra trailing ones are ignored.
 */

/** An array on the wire. The decoder has checked every element, so walking it cannot fail. */
struct sequence {
  const uint8_t *data;
  size_t size;
  uint32_t count;
  bool present;
};

struct optional_int {
  bool present;
  int64_t value;
};

enum field_type {
  FIELD_INT,
  FIELD_BOOL,
  FIELD_BYTES,
  FIELD_INTS,
  FIELD_LIST,
};

struct field {
  const char *name;
  enum field_type type;
  bool optional;
  size_t offset;
};

struct shape {
  const struct field *fields;
  uint32_t count;
  /** Size of the struct that holds the values. */
  size_t size;
};

enum served { SERVED_BY_HOST, SERVED_BY_IO, SERVED_BY_TASK };

struct message {
  int64_t kind;
  const char *name;
  enum served served;
  struct shape fields;
  struct shape reply;
};

/** NULL for a kind that the table does not have. */
const struct message *message_of_kind(const struct message *table, size_t size, int64_t kind);

/** Fills `values`; false when the payload does not fit, with `*field` the name of the offending field. */
bool message_decode(const struct shape *shape, struct bytes payload, void *values, const char **field);
void message_encode(const struct shape *shape, const void *values, struct buffer *buffer);

static inline struct reader sequence_reader(const struct sequence *sequence) {
  return reader_over(sequence->data, sequence->size);
}

#endif
