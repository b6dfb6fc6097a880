#include "message.h"

const struct message *message_of_kind(const struct message *table, size_t size, int64_t kind) {
  for (size_t i = 0; i < size; i++) {
    if (table[i].kind == kind) return &table[i];
  }
  return NULL;
}

static bool decode_sequence(struct reader *reader, enum field_type type, struct sequence *sequence) {
  uint32_t count = 0;
  if (!msgpack_read_array(reader, &count)) return false;
  const uint8_t *start = reader->at;
  for (uint32_t i = 0; i < count; i++) {
    int64_t number = 0;
    struct bytes bytes;
    bool fits = type == FIELD_INTS ? msgpack_read_int(reader, &number) : msgpack_read_bytes(reader, &bytes);
    if (!fits) return false;
  }
  *sequence = (struct sequence){.data = start, .size = (size_t)(reader->at - start), .count = count, .present = true};
  return true;
}

static bool decode_field(struct reader *reader, const struct field *field, void *value) {
  if (field->optional && msgpack_read_nil(reader)) return true;
  switch (field->type) {
    case FIELD_INT:
      if (!field->optional) return msgpack_read_int(reader, value);
      ((struct optional_int *)value)->present = true;
      return msgpack_read_int(reader, &((struct optional_int *)value)->value);
    case FIELD_BOOL:
      return msgpack_read_bool(reader, value);
    case FIELD_BYTES:
      return msgpack_read_bytes(reader, value);
    case FIELD_INTS:
    case FIELD_LIST:
      return decode_sequence(reader, field->type, value);
    default:
      return false;
  }
}

bool message_decode(const struct shape *shape, struct bytes payload, void *values, const char **field) {
  struct reader reader = reader_over(payload.data, payload.size);
  uint32_t count = 0;
  *field = "payload";
  for (size_t i = 0; i < shape->size; i++) ((uint8_t *)values)[i] = 0;
  if (!msgpack_read_array(&reader, &count)) return false;
  for (uint32_t i = 0; i < shape->count; i++) {
    *field = shape->fields[i].name;
    if (i >= count) return false;
    if (!decode_field(&reader, &shape->fields[i], (uint8_t *)values + shape->fields[i].offset)) return false;
  }
  *field = "trailing fields";
  for (uint32_t i = shape->count; i < count; i++) {
    if (!msgpack_skip(&reader)) return false;
  }
  return true;
}

static void encode_sequence(const struct sequence *sequence, struct buffer *buffer) {
  msgpack_write_array(buffer, sequence->count);
  buffer_append(buffer, sequence->data, sequence->size);
}

static void encode_field(const struct field *field, const void *value, struct buffer *buffer) {
  switch (field->type) {
    case FIELD_INT:
      if (!field->optional) msgpack_write_int(buffer, *(const int64_t *)value);
      else if (((const struct optional_int *)value)->present) {
        msgpack_write_int(buffer, ((const struct optional_int *)value)->value);
      } else msgpack_write_nil(buffer);
      break;
    case FIELD_BOOL:
      msgpack_write_bool(buffer, *(const bool *)value);
      break;
    case FIELD_BYTES: {
      const struct bytes *bytes = value;
      if (field->optional && bytes->data == NULL) msgpack_write_nil(buffer);
      else msgpack_write_bytes(buffer, bytes->data, bytes->size);
      break;
    }
    case FIELD_INTS:
    case FIELD_LIST: {
      const struct sequence *sequence = value;
      if (field->optional && !sequence->present) msgpack_write_nil(buffer);
      else encode_sequence(sequence, buffer);
      break;
    }
    default:
      buffer->failed = true;
  }
}

void message_encode(const struct shape *shape, const void *values, struct buffer *buffer) {
  msgpack_write_array(buffer, shape->count);
  for (uint32_t i = 0; i < shape->count; i++) {
    encode_field(&shape->fields[i], (const uint8_t *)values + shape->fields[i].offset, buffer);
  }
}
