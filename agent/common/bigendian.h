#ifndef PROVIUM_BIGENDIAN_H
#define PROVIUM_BIGENDIAN_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t load_be(const uint8_t *at, size_t width) {
  uint64_t value = 0;
  for (size_t i = 0; i < width; i++) value = value << 8 | at[i];
  return value;
}

static inline void store_be(uint8_t *at, uint64_t value, size_t width) {
  for (size_t i = width; i > 0; i--) {
    at[i - 1] = (uint8_t)value;
    value >>= 8;
  }
}

#endif
