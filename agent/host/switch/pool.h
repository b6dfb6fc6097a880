#ifndef PROVIUM_POOL_H
#define PROVIUM_POOL_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Memory for frames under way, kept for the next ones: the C library gives larger blocks back to the kernel at once,
 * which costs more than all else that is done with a frame.
 */

#define POOL_CLASSES 3
/** Bytes kept of each class. */
#define POOL_KEPT_BYTES ((size_t)4 * 1024 * 1024)

struct pool {
  void *kept[POOL_CLASSES];
  size_t kept_bytes[POOL_CLASSES];
};

/** A block of at least `size` bytes, or NULL. */
void *pool_take(struct pool *pool, size_t size);
/** Gives back a block that was taken for `size` bytes. */
void pool_give(struct pool *pool, void *block, size_t size);
void pool_end(struct pool *pool);

#endif
