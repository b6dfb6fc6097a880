#ifndef PROVIUM_FRAME_H
#define PROVIUM_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "bytes.h"

/** A frame: 4-byte big-endian length, then the msgpack array `[kind, actor, request_id, payload]`. */

#define FRAME_PREFIX 4
/** Most bytes that can stand between the prefix and the payload: an array head and three 64-bit integers. */
#define FRAME_HEAD_MAX (5 + 3 * 9)

struct frame_head {
  int64_t kind;
  int64_t actor;
  int64_t request_id;
  /** Where the payload starts, counted from the body. */
  size_t payload_offset;
};

/** Reads the head of a body of which at least FRAME_HEAD_MAX bytes, or all, are there. */
bool frame_read_head(const uint8_t *body, size_t size, struct frame_head *head);

/** Appends prefix and head; the length is set by frame_end. Returns where the frame starts, for frame_end. */
size_t frame_begin(struct buffer *buffer, int64_t kind, int64_t actor, int64_t request_id);
/** Writes the length of the frame that began at `start` bytes behind the buffer's head, plus `more` to follow. */
void frame_end(struct buffer *buffer, size_t start, size_t more);

#endif
