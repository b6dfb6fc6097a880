#include "random.h"

static uint64_t splitmix(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t value, int by) { return (value << by) | (value >> (64 - by)); }

void random_seed(struct random *random, uint64_t seed, uint64_t from, uint64_t to) {
  /* Mixed one after another, so that (a, b) and (b, a) differ. */
  uint64_t state = seed;
  state = splitmix(&state) ^ from;
  state = splitmix(&state) ^ to;
  for (int i = 0; i < 4; i++) random->state[i] = splitmix(&state);
}

uint64_t random_next(struct random *random) {
  uint64_t *s = random->state;
  uint64_t result = rotate(s[1] * 5, 7) * 9;
  uint64_t shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = rotate(s[3], 45);
  return result;
}

uint64_t random_hash(const void *bytes, uint64_t size) {
  const uint8_t *at = bytes;
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (uint64_t i = 0; i < size; i++) hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
  return hash;
}
