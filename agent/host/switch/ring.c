#include "ring.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY ((size_t)4096)

void ring_parts(const struct ring *ring, struct iovec parts[2]) {
  size_t to_end = ring->capacity - ring->head;
  size_t first = ring->length < to_end ? ring->length : to_end;
  /* A ring that never held anything has no memory, and NULL + 0 is undefined in C. */
  parts[0] = (struct iovec){.iov_base = first == 0 ? ring->data : ring->data + ring->head, .iov_len = first};
  parts[1] = (struct iovec){.iov_base = ring->data, .iov_len = ring->length - first};
}

bool ring_reserve(struct ring *ring, size_t extra, size_t limit) {
  if (extra > limit || ring->length > limit - extra) return false;
  size_t needed = ring->length + extra;
  if (needed <= ring->capacity) return true;
  size_t capacity = ring->capacity == 0 ? FIRST_CAPACITY : ring->capacity;
  while (capacity < needed) capacity *= 2;
  uint8_t *grown = malloc(capacity);
  if (grown == NULL) return false;
  ring_peek(ring, grown, ring->length);
  free(ring->data);
  ring->data = grown;
  ring->capacity = capacity;
  ring->head = 0;
  return true;
}

void ring_append(struct ring *ring, const void *bytes, size_t size) {
  if (size == 0) return;
  size_t tail = (ring->head + ring->length) & (ring->capacity - 1);
  size_t to_end = ring->capacity - tail;
  size_t first = size < to_end ? size : to_end;
  memcpy(ring->data + tail, bytes, first);
  if (first < size) memcpy(ring->data, (const uint8_t *)bytes + first, size - first);
  ring->length += size;
}

void ring_peek(const struct ring *ring, void *bytes, size_t size) {
  struct iovec parts[2];
  ring_parts(ring, parts);
  uint8_t *to = bytes;
  for (int i = 0; i < 2; i++) {
    size_t part = parts[i].iov_len < size ? parts[i].iov_len : size;
    if (part > 0) memcpy(to, parts[i].iov_base, part);
    to += part;
    size -= part;
  }
}

void ring_consume(struct ring *ring, size_t size) {
  if (size > ring->length) size = ring->length;
  ring->length -= size;
  ring->head = ring->length == 0 ? 0 : (ring->head + size) & (ring->capacity - 1);
}

void ring_free(struct ring *ring) {
  free(ring->data);
  *ring = (struct ring){0};
}
