#ifndef PROVIUM_BUFFER_H
#define PROVIUM_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Bytes in a row: appended at the end, consumed at the front. It grows up to `limit`; a buffer laid over
 * memory of somebody else (buffer_over) does not grow. An append that does not fit writes nothing and sets
 * `failed`, which stays set, so that a sequence of appends needs one check at its end.
 */
struct buffer {
  uint8_t *data;
  size_t head;
  size_t size;
  size_t capacity;
  size_t limit;
  bool borrowed;
  bool failed;
};

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_over(struct buffer *buffer, void *memory, size_t size);
void buffer_free(struct buffer *buffer);

/** Makes room for `extra` bytes behind the content. The only place that allocates. */
bool buffer_reserve(struct buffer *buffer, size_t extra);

bool buffer_append(struct buffer *buffer, const void *bytes, size_t size);
bool buffer_append_byte(struct buffer *buffer, uint8_t byte);

/** Drops `size` bytes at the front. */
void buffer_consume(struct buffer *buffer, size_t size);
/** Moves the content to the start of the memory. */
void buffer_compact(struct buffer *buffer);
void buffer_clear(struct buffer *buffer);

static inline uint8_t *buffer_begin(const struct buffer *buffer) { return buffer->data + buffer->head; }
static inline uint8_t *buffer_end(const struct buffer *buffer) { return buffer->data + buffer->size; }
static inline size_t buffer_length(const struct buffer *buffer) { return buffer->size - buffer->head; }

#endif
