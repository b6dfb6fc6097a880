#ifndef PROVIUM_RING_H
#define PROVIUM_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/**
 * Bytes waiting to be written, in a circle: what is appended is never moved again, however slowly it drains.
 * The memory doubles on demand, up to the limit that the caller names, which is a power of two.
 */
struct ring {
  uint8_t *data;
  size_t capacity;
  size_t head;
  size_t length;
};

/** Makes room for `extra` more bytes; false, and nothing changed, beyond `limit` or without memory. */
bool ring_reserve(struct ring *ring, size_t extra, size_t limit);
/** Appends bytes for which room was reserved. */
void ring_append(struct ring *ring, const void *bytes, size_t size);
/** The content in order, in two parts; the second, or both, may be empty. */
void ring_parts(const struct ring *ring, struct iovec parts[2]);
/** Copies the first `size` bytes, which are there, without taking them. */
void ring_peek(const struct ring *ring, void *bytes, size_t size);
void ring_consume(struct ring *ring, size_t size);
void ring_free(struct ring *ring);

#endif
