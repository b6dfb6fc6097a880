#ifndef PROVIUM_RANDOM_H
#define PROVIUM_RANDOM_H

#include <stdint.h>

/**
 * xoshiro256** (Blackman and Vigna, public domain), its state filled by splitmix64 as its authors advise. Each
 * ordered pair of ports has one of its own, seeded by the plan's seed and the names of the two ports, so that what
 * happens to a frame depends on its place among the frames of its pair and on nothing else.
 */
struct random {
  uint64_t state[4];
};

void random_seed(struct random *random, uint64_t seed, uint64_t from, uint64_t to);
uint64_t random_next(struct random *random);

/** FNV-1a, 64 bits: a number for a name. */
uint64_t random_hash(const void *bytes, uint64_t size);

#endif
