#include "pool.h"

#include <stdlib.h>
#include <string.h>

/** A frame of the usual MTU, a jumbo frame, the largest; each with what goes with it. */
static const size_t class_bytes[POOL_CLASSES] = {2048, 10 * 1024, 72 * 1024};

static unsigned class_of(size_t size) {
  unsigned class = 0;
  while (class < POOL_CLASSES && class_bytes[class] < size) class++;
  return class;
}

void *pool_take(struct pool *pool, size_t size) {
  unsigned class = class_of(size);
  if (class == POOL_CLASSES) return malloc(size);
  void *block = pool->kept[class];
  if (block == NULL) return malloc(class_bytes[class]);
  memcpy(&pool->kept[class], block, sizeof(void *));
  pool->kept_bytes[class] -= class_bytes[class];
  return block;
}

void pool_give(struct pool *pool, void *block, size_t size) {
  unsigned class = class_of(size);
  if (class == POOL_CLASSES || pool->kept_bytes[class] + class_bytes[class] > POOL_KEPT_BYTES) {
    free(block);
    return;
  }
  memcpy(block, &pool->kept[class], sizeof(void *));
  pool->kept[class] = block;
  pool->kept_bytes[class] += class_bytes[class];
}

void pool_end(struct pool *pool) {
  for (unsigned class = 0; class < POOL_CLASSES; class++) {
    while (pool->kept[class] != NULL) {
      void *block = pool->kept[class];
      memcpy(&pool->kept[class], block, sizeof(void *));
      free(block);
    }
  }
}
