#ifndef PROVIUM_BYTES_H
#define PROVIUM_BYTES_H

#include <stddef.h>
#include <stdint.h>

/** Bytes owned by somebody else. `data` is NULL for an absent optional field. */
struct bytes {
  const uint8_t *data;
  size_t size;
};

#endif
