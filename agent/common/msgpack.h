#ifndef PROVIUM_MSGPACK_H
#define PROVIUM_MSGPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"
#include "bytes.h"

/**
 * The part of msgpack that the wire uses. A reader walks memory that somebody hostile may have filled: every
 * function returns false, and moves nothing, when what is there is of another type or not all there.
 */
struct reader {
  const uint8_t *at;
  const uint8_t *end;
};

static inline struct reader reader_over(const void *data, size_t size) {
  const uint8_t *at = data;
  return (struct reader){.at = at, .end = size > 0 ? at + size : at};
}

/** Any integer format; an unsigned 64-bit value above INT64_MAX comes back as its two's complement. */
bool msgpack_read_int(struct reader *reader, int64_t *value);
bool msgpack_read_bool(struct reader *reader, bool *value);
/** A bin or a str. `data` is never NULL. */
bool msgpack_read_bytes(struct reader *reader, struct bytes *value);
/** The head of an array; its elements follow. */
bool msgpack_read_array(struct reader *reader, uint32_t *count);
bool msgpack_read_nil(struct reader *reader);
/** Any one value. Nesting beyond a fixed depth is refused, so that no input can exhaust the stack. */
bool msgpack_skip(struct reader *reader);

void msgpack_write_int(struct buffer *buffer, int64_t value);
void msgpack_write_bool(struct buffer *buffer, bool value);
void msgpack_write_nil(struct buffer *buffer);
void msgpack_write_bytes(struct buffer *buffer, const void *data, size_t size);
/** Head of a bin of `size` bytes, always five bytes long, so that it can be written before the size is known. */
void msgpack_write_bin32(struct buffer *buffer, uint32_t size);
void msgpack_write_array(struct buffer *buffer, uint32_t count);

#define MSGPACK_BIN32_HEAD 5

#endif
