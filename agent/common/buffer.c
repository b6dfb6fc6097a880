#include "buffer.h"

#include <stdlib.h>
#include <string.h>

void buffer_init(struct buffer *buffer, size_t limit) { *buffer = (struct buffer){.limit = limit}; }

void buffer_over(struct buffer *buffer, void *memory, size_t size) {
  *buffer = (struct buffer){.data = memory, .capacity = size, .limit = size, .borrowed = true};
}

void buffer_free(struct buffer *buffer) {
  if (!buffer->borrowed) free(buffer->data);
  buffer_init(buffer, buffer->limit);
}

void buffer_compact(struct buffer *buffer) {
  if (buffer->head == 0) return;
  size_t length = buffer_length(buffer);
  if (length > 0) memmove(buffer->data, buffer_begin(buffer), length);
  buffer->head = 0;
  buffer->size = length;
}

bool buffer_reserve(struct buffer *buffer, size_t extra) {
  if (buffer->failed) return false;
  if (extra <= buffer->capacity - buffer->size) return true;
  size_t length = buffer_length(buffer);
  if (extra > buffer->limit - length) goto out;
  if (!buffer->borrowed && length + extra > buffer->capacity) {
    size_t capacity = buffer->capacity < 256 ? 256 : buffer->capacity;
    while (capacity < length + extra) capacity = capacity > buffer->limit / 2 ? buffer->limit : capacity * 2;
    uint8_t *grown = malloc(capacity);
    if (grown == NULL) goto out;
    if (length > 0) memcpy(grown, buffer_begin(buffer), length);
    free(buffer->data);
    buffer->data = grown;
    buffer->capacity = capacity;
    buffer->head = 0;
    buffer->size = length;
    return true;
  }
  buffer_compact(buffer);
  return true;
out:
  buffer->failed = true;
  return false;
}

bool buffer_append(struct buffer *buffer, const void *bytes, size_t size) {
  if (!buffer_reserve(buffer, size)) return false;
  if (size > 0) memcpy(buffer_end(buffer), bytes, size);
  buffer->size += size;
  return true;
}

bool buffer_append_byte(struct buffer *buffer, uint8_t byte) { return buffer_append(buffer, &byte, 1); }

void buffer_consume(struct buffer *buffer, size_t size) {
  size_t length = buffer_length(buffer);
  buffer->head += size < length ? size : length;
  if (buffer->head == buffer->size) buffer->head = buffer->size = 0;
}

void buffer_clear(struct buffer *buffer) {
  buffer->head = buffer->size = 0;
  buffer->failed = false;
}
