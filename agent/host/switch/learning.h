#ifndef PROVIUM_LEARNING_H
#define PROVIUM_LEARNING_H

#include <stdbool.h>
#include <stdint.h>

/**
 * Which port an address was last seen behind: a table of fixed size. An address whose set is full of younger
 * entries displaces one of the port that holds most of the set, so a guest that sends from a million addresses
 * displaces its own. An address that is not there is flooded to all ports.
 */

#define LEARNING_SETS 256
#define LEARNING_WAYS 8
/** As a Linux bridge has it. */
#define LEARNING_AGE_NS (INT64_C(300) * 1000000000)

struct learned {
  /** 48 bits; 0 is a free entry, because no port has that address. */
  uint64_t address;
  int64_t seen;
  uint16_t slot;
};

struct learning {
  uint64_t key;
  struct learned entries[LEARNING_SETS][LEARNING_WAYS];
};

/** `key` makes the distribution over the sets unpredictable to guests. */
void learning_init(struct learning *learning, uint64_t key);
void learning_note(struct learning *learning, uint64_t address, uint16_t slot, int64_t now);
/** The slot behind which the address is, or -1. */
int learning_find(const struct learning *learning, uint64_t address, int64_t now);
/** Forgets what was seen behind a port. */
void learning_forget(struct learning *learning, uint16_t slot);
unsigned learning_count(const struct learning *learning);

#endif
