#include "msgpack.h"

#include <string.h>

#include "bigendian.h"

#define MAX_DEPTH 32

static size_t remaining(const struct reader *reader) { return (size_t)(reader->end - reader->at); }

/** Value of the big-endian word of 1, 2, 4 or 8 bytes behind the type byte. */
static bool read_word(struct reader *reader, size_t width, uint64_t *value) {
  if (remaining(reader) < 1 + width) return false;
  *value = load_be(reader->at + 1, width);
  reader->at += 1 + width;
  return true;
}

bool msgpack_read_int(struct reader *reader, int64_t *value) {
  if (remaining(reader) < 1) return false;
  uint8_t type = *reader->at;
  uint64_t word = 0;
  if (type <= 0x7f || type >= 0xe0) {
    *value = (int8_t)type;
    reader->at++;
    return true;
  }
  switch (type) {
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
      if (!read_word(reader, (size_t)1 << (type - 0xcc), &word)) return false;
      *value = (int64_t)word;
      return true;
    case 0xd0:
      if (!read_word(reader, 1, &word)) return false;
      *value = (int8_t)word;
      return true;
    case 0xd1:
      if (!read_word(reader, 2, &word)) return false;
      *value = (int16_t)word;
      return true;
    case 0xd2:
      if (!read_word(reader, 4, &word)) return false;
      *value = (int32_t)word;
      return true;
    case 0xd3:
      if (!read_word(reader, 8, &word)) return false;
      *value = (int64_t)word;
      return true;
    default:
      return false;
  }
}

bool msgpack_read_bool(struct reader *reader, bool *value) {
  if (remaining(reader) < 1 || (*reader->at != 0xc2 && *reader->at != 0xc3)) return false;
  *value = *reader->at++ == 0xc3;
  return true;
}

bool msgpack_read_nil(struct reader *reader) {
  if (remaining(reader) < 1 || *reader->at != 0xc0) return false;
  reader->at++;
  return true;
}

bool msgpack_read_bytes(struct reader *reader, struct bytes *value) {
  if (remaining(reader) < 1) return false;
  struct reader next = *reader;
  uint8_t type = *next.at;
  uint64_t size = 0;
  if (type >= 0xa0 && type <= 0xbf) {
    size = type & 0x1f;
    next.at++;
  } else if (type >= 0xc4 && type <= 0xc6) {
    if (!read_word(&next, (size_t)1 << (type - 0xc4), &size)) return false;
  } else if (type >= 0xd9 && type <= 0xdb) {
    if (!read_word(&next, (size_t)1 << (type - 0xd9), &size)) return false;
  } else {
    return false;
  }
  if (size > remaining(&next)) return false;
  *value = (struct bytes){.data = next.at, .size = (size_t)size};
  next.at += size;
  *reader = next;
  return true;
}

bool msgpack_read_array(struct reader *reader, uint32_t *count) {
  if (remaining(reader) < 1) return false;
  uint8_t type = *reader->at;
  uint64_t word = 0;
  if (type >= 0x90 && type <= 0x9f) {
    *count = type & 0x0f;
    reader->at++;
    return true;
  }
  if (type != 0xdc && type != 0xdd) return false;
  if (!read_word(reader, type == 0xdc ? 2 : 4, &word)) return false;
  *count = (uint32_t)word;
  return true;
}

static bool skip_bytes(struct reader *reader, uint64_t size) {
  if (size > remaining(reader)) return false;
  reader->at += size;
  return true;
}

static bool skip(struct reader *reader, unsigned depth);

static bool skip_many(struct reader *reader, uint64_t count, unsigned depth) {
  if (depth == 0) return false;
  for (uint64_t i = 0; i < count; i++) {
    if (!skip(reader, depth - 1)) return false;
  }
  return true;
}

static bool skip(struct reader *reader, unsigned depth) {
  struct bytes bytes;
  uint32_t count = 0;
  uint64_t size = 0;
  if (msgpack_read_bytes(reader, &bytes)) return true;
  if (msgpack_read_array(reader, &count)) return skip_many(reader, count, depth);
  if (remaining(reader) < 1) return false;
  uint8_t type = *reader->at;
  if (type <= 0x7f || type >= 0xe0 || type == 0xc0 || type == 0xc2 || type == 0xc3) return skip_bytes(reader, 1);
  if (type >= 0x80 && type <= 0x8f) {
    reader->at++;
    return skip_many(reader, 2 * (uint64_t)(type & 0x0f), depth);
  }
  switch (type) {
    case 0xcc:
    case 0xd0:
      return skip_bytes(reader, 2);
    case 0xcd:
    case 0xd1:
      return skip_bytes(reader, 3);
    case 0xca:
    case 0xce:
    case 0xd2:
      return skip_bytes(reader, 5);
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return skip_bytes(reader, 9);
    case 0xc7:
    case 0xc8:
    case 0xc9:
      return read_word(reader, (size_t)1 << (type - 0xc7), &size) && skip_bytes(reader, size + 1);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return skip_bytes(reader, 2 + ((uint64_t)1 << (type - 0xd4)));
    case 0xde:
    case 0xdf:
      return read_word(reader, type == 0xde ? 2 : 4, &size) && skip_many(reader, 2 * size, depth);
    default:
      return false;
  }
}

bool msgpack_skip(struct reader *reader) {
  struct reader next = *reader;
  if (!skip(&next, MAX_DEPTH)) return false;
  *reader = next;
  return true;
}

static void write_word(struct buffer *buffer, uint8_t type, uint64_t value, size_t width) {
  uint8_t bytes[9];
  bytes[0] = type;
  store_be(bytes + 1, value, width);
  buffer_append(buffer, bytes, 1 + width);
}

void msgpack_write_int(struct buffer *buffer, int64_t value) {
  uint64_t word = (uint64_t)value;
  if (value >= -32 && value <= 127) buffer_append_byte(buffer, (uint8_t)word);
  else if (value >= 0 && value <= UINT8_MAX) write_word(buffer, 0xcc, word, 1);
  else if (value >= 0 && value <= UINT16_MAX) write_word(buffer, 0xcd, word, 2);
  else if (value >= 0 && value <= UINT32_MAX) write_word(buffer, 0xce, word, 4);
  else if (value >= INT8_MIN && value < 0) write_word(buffer, 0xd0, word, 1);
  else if (value >= INT16_MIN && value < 0) write_word(buffer, 0xd1, word, 2);
  else if (value >= INT32_MIN && value < 0) write_word(buffer, 0xd2, word, 4);
  else write_word(buffer, 0xd3, word, 8);
}

void msgpack_write_bool(struct buffer *buffer, bool value) { buffer_append_byte(buffer, value ? 0xc3 : 0xc2); }

void msgpack_write_nil(struct buffer *buffer) { buffer_append_byte(buffer, 0xc0); }

void msgpack_write_bin32(struct buffer *buffer, uint32_t size) { write_word(buffer, 0xc6, size, 4); }

void msgpack_write_bytes(struct buffer *buffer, const void *data, size_t size) {
  if (size > UINT32_MAX) {
    buffer->failed = true;
    return;
  }
  if (size <= UINT8_MAX) write_word(buffer, 0xc4, size, 1);
  else if (size <= UINT16_MAX) write_word(buffer, 0xc5, size, 2);
  else write_word(buffer, 0xc6, size, 4);
  buffer_append(buffer, data, size);
}

void msgpack_write_array(struct buffer *buffer, uint32_t count) {
  if (count <= 15) buffer_append_byte(buffer, (uint8_t)(0x90 | count));
  else if (count <= UINT16_MAX) write_word(buffer, 0xdc, count, 2);
  else write_word(buffer, 0xdd, count, 4);
}
