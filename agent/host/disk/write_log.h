#ifndef PROVIUM_WRITE_LOG_H
#define PROVIUM_WRITE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "image.h"

/**
 * What a disk has stored since a moment, write for write and flush for flush, so that the state that a crash leaves at
 * any of its flushes can be made again: a copy of the content at the start, and a file of records.
 */

struct write_log {
  int fd;
  /** Path of the copy. */
  char *base;
  int64_t writes;
  int64_t flushes;
  uint64_t size;
  /** Why the log ends before the disk does: errno of the first record that could not be written. */
  int error;
};

enum unflushed { UNFLUSHED_NONE, UNFLUSHED_ALL, UNFLUSHED_RANDOM, UNFLUSHED_CHOICES };

/** Copies `image` to `base` and starts an empty log at `path`. */
int write_log_start(struct write_log *log, struct image *image, const char *base, const char *path);
static inline bool write_log_runs(const struct write_log *log) { return log->fd >= 0; }
void write_log_stop(struct write_log *log);

/** `data` NULL: zeroes. `durable`: stored for good before it was acknowledged. */
void write_log_write(struct write_log *log, uint64_t offset, const void *data, uint64_t size, bool durable);
void write_log_flush(struct write_log *log);

/** Makes the raw image that a crash right after flush `flush` leaves. EINVAL: there was no such flush. */
int write_log_image(const struct write_log *log, const char *path, int64_t flush, enum unflushed unflushed,
                    uint64_t seed);

#endif
